//! Instants on the wire: RFC 3339 text, or milliseconds since the Unix epoch.

use pulse_core::TimestampMs;

const MS_PER_DAY: i64 = 86_400_000;

/// Milliseconds since the Unix epoch for RFC 3339 text such as `2021-01-04T08:00:00Z` or
/// `2021-01-04T03:00:00.250-05:00`; finer digits than milliseconds are cut off. None for anything else.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<TimestampMs> {
    let bytes = text.as_bytes();
    let (head, tail) = bytes.split_first_chunk::<19>()?;
    let separators = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
    if separators.iter().any(|&(at, byte)| head[at] != byte) || !matches!(head[10], b'T' | b't' | b' ') {
        return None;
    }
    let year = digits(&head[0..4])?;
    let (month, day) = (digits(&head[5..7])?, digits(&head[8..10])?);
    let (hour, minute, second) = (digits(&head[11..13])?, digits(&head[14..16])?, digits(&head[17..19])?);
    if !(1..=12).contains(&month) || day < 1 || day > days_of_month(year, month) {
        return None;
    }
    // 60 is a leap second, which Unix time counts as the second after it.
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (millis, zone) = fraction(tail)?;
    let offset = offset_minutes(zone)?;
    let seconds = (hour * 60 + minute - offset) * 60 + second;
    Some(days_from_civil(year, month, day) * MS_PER_DAY + seconds * 1000 + millis)
}

/// `instant` as RFC 3339 in UTC with three decimals, in ASCII: `2021-01-04T08:00:00.000Z`.
///
/// Years outside of 0 to 9999, which the format cannot express, are clamped to that range.
#[must_use]
pub fn format_rfc3339(instant: TimestampMs) -> [u8; 24] {
    const FIRST: i64 = -62_167_219_200_000;
    const LAST: i64 = 253_402_300_799_999;
    let instant = instant.clamp(FIRST, LAST);
    let (year, month, day) = civil_from_days(instant.div_euclid(MS_PER_DAY));
    let of_day = instant.rem_euclid(MS_PER_DAY);
    let seconds = of_day / 1000;
    let mut text = *b"0000-00-00T00:00:00.000Z";
    let parts = [
        (3, 4, year),
        (6, 2, month),
        (9, 2, day),
        (12, 2, seconds / 3600),
        (15, 2, seconds / 60 % 60),
        (18, 2, seconds % 60),
        (22, 3, of_day % 1000),
    ];
    for (last, width, mut value) in parts {
        for at in 0..width {
            #[expect(clippy::cast_sign_loss, reason = "one decimal digit")]
            {
                text[last - at] = b'0' + (value % 10) as u8;
            }
            value /= 10;
        }
    }
    text
}

/// Whether `instant` lies in the years 1 to 9999, which every format and database can express, up to a day before the end of
/// the last one, so that its local time can be written anywhere.
#[must_use]
pub fn is_storable(instant: TimestampMs) -> bool {
    const FIRST: i64 = -62_135_596_800_000;
    const LAST: i64 = 253_402_207_200_999;
    (FIRST..=LAST).contains(&instant)
}

/// `number` as milliseconds since the Unix epoch, where it is an instant that can be stored.
pub(crate) fn from_epoch_ms(number: f64) -> Option<TimestampMs> {
    if number.is_nan() {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "beyond the range of i64 it saturates, which is refused next")]
    let ms = number.floor() as i64;
    is_storable(ms).then_some(ms)
}

fn digits(bytes: &[u8]) -> Option<i64> {
    bytes.iter().try_fold(0, |value, byte| byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0')))
}

/// The milliseconds of an optional fraction, and what follows it.
fn fraction(tail: &[u8]) -> Option<(i64, &[u8])> {
    let [b'.' | b',', rest @ ..] = tail else { return Some((0, tail)) };
    let len = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if len == 0 {
        return None;
    }
    let scale = [100, 10, 1][len.min(3) - 1];
    Some((digits(&rest[..len.min(3)])? * scale, &rest[len..]))
}

/// Minutes by which local time is ahead of UTC.
fn offset_minutes(zone: &[u8]) -> Option<i64> {
    match zone {
        b"Z" | b"z" => Some(0),
        [sign @ (b'+' | b'-'), hours @ .., b':', m1, m2] if hours.len() == 2 => {
            let (hours, minutes) = (digits(hours)?, digits(&[*m1, *m2])?);
            let ahead = hours * 60 + minutes;
            (hours <= 23 && minutes <= 59).then_some(if *sign == b'+' { ahead } else { -ahead })
        }
        _ => None,
    }
}

fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a date of the proleptic Gregorian calendar, counted in eras of 400 years that begin in March
/// so that the leap day comes last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The inverse of [`days_from_civil`]: year, month, day.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rfc3339_is_read() {
        for (text, expected) in [
            ("2021-01-04T08:00:00Z", Some(1_609_747_200_000)),
            ("2021-01-04t08:00:00.25z", Some(1_609_747_200_250)),
            ("2021-01-04 03:00:00.2509-05:00", Some(1_609_747_200_250)),
            ("2021-01-04T13:30:00+05:30", Some(1_609_747_200_000)),
            ("2016-12-31T23:59:60Z", Some(1_483_228_800_000)),
            ("1969-12-31T23:59:59.999Z", Some(-1)),
            ("2021-02-29T08:00:00Z", None),
            ("2021-01-04T08:00:00", None),
            ("2021-01-04T24:00:00Z", None),
            ("2021-01-04T08:00:00.Z", None),
            ("2021-01-04T08:00:00+0530", None),
            ("2021-01-04", None),
            ("", None),
        ] {
            assert_eq!(parse_rfc3339(text), expected, "{text}");
        }
    }

    #[test]
    fn epoch_ms_must_be_a_date() {
        assert_eq!(from_epoch_ms(1.6e12), Some(1_600_000_000_000));
        assert_eq!(from_epoch_ms(-0.5), Some(-1));
        assert_eq!(from_epoch_ms(1e300), None);
        assert_eq!(from_epoch_ms(f64::NAN), None);
        // The bounds are those of jiff, whose range ends where it does for the same reason.
        let last = Timestamp::MAX.as_millisecond();
        assert!(is_storable(last) && !is_storable(last + 1));
        assert_eq!("0001-01-01T00:00:00Z".parse::<Timestamp>().unwrap().as_millisecond(), -62_135_596_800_000);
        assert!(is_storable(-62_135_596_800_000) && !is_storable(-62_135_596_800_001));
    }

    proptest! {
        #[test]
        fn written_instants_read_back_and_agree_with_jiff(ms in -62_167_219_200_000_i64..253_402_300_799_999) {
            let text = String::from_utf8(format_rfc3339(ms).to_vec()).unwrap();
            prop_assert_eq!(parse_rfc3339(&text), Some(ms));
            prop_assert_eq!(text.parse::<Timestamp>().unwrap().as_millisecond(), ms);
        }

        #[test]
        fn any_text_is_read_without_panic(text in "[0-9TZ:.+ -]{0,40}|\\PC{0,30}") {
            let ours = parse_rfc3339(&text);
            if let (Some(ours), Ok(jiff)) = (ours, text.parse::<Timestamp>()) {
                prop_assert!((jiff.as_millisecond() - ours).abs() <= 1000, "{text}");
            }
        }
    }
}
