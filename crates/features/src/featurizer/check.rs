//! What a single value must be.

use std::borrow::Cow;

use pulse_core::TimestampMs;
use pulse_core::use_case::{Constant, Feature, FeatureType};
use regex::Regex;

use crate::decode::{Slot, Slots, Text, digits_at};
use crate::instant;

/// The number that stands for a feature's value: `NaN` where it is missing or text. The error is a fault's message.
pub(super) fn number(feature: &Feature, slot: Slot) -> Result<f64, String> {
    use FeatureType as T;
    match (feature.kind, slot) {
        (_, Slot::Missing) if feature.required => Err(format!("is required: send {}", feature.kind.with_article())),
        (_, Slot::Missing) => Ok(f64::NAN),
        (_, Slot::Outside(what)) => Err(outside(what)),
        (T::Boolean, Slot::Boolean(value)) => {
            one_of(feature, |allowed| *allowed == Constant::Boolean(value))?;
            Ok(f64::from(u8::from(value)))
        }
        #[expect(clippy::cast_precision_loss, reason = "columns are 64-bit floating point")]
        (T::Number | T::Integer, Slot::Integer(value)) => within(feature, value as f64),
        #[expect(clippy::cast_precision_loss, reason = "columns are 64-bit floating point")]
        (T::Number | T::Integer, Slot::Unsigned(value)) => within(feature, value as f64),
        (T::Number, Slot::Float(value)) => within(feature, value),
        (T::Integer, Slot::Float(value)) => {
            /// Of 64 bits with a sign, and of 64 bits without one.
            const LIMITS: [f64; 2] = [-9_223_372_036_854_775_808.0, 18_446_744_073_709_551_616.0];
            if value.fract() != 0.0 {
                Err("must be a whole number".to_owned())
            } else if !(LIMITS[0]..LIMITS[1]).contains(&value) {
                Err("must fit in 64 bits".to_owned())
            } else {
                within(feature, value)
            }
        }
        (T::Number | T::Integer, Slot::Text(_)) => {
            Err(format!("must be {}, not a string: send it without quotes", feature.kind.with_article()))
        }
        (kind, slot) => Err(format!("must be {}, not {}", kind.with_article(), slot.what())),
    }
}

/// The fault of a field that cannot be there, as `what` stands where its object belongs.
fn outside(what: &str) -> String {
    format!("must stand in an object, not in {what}: send the object around it")
}

fn within(feature: &Feature, value: f64) -> Result<f64, String> {
    feature.bounds.check(value)?;
    one_of(feature, |allowed| *allowed == Constant::Number(value))?;
    Ok(value)
}

fn one_of(feature: &Feature, is_value: impl Fn(&Constant) -> bool) -> Result<(), String> {
    match &feature.allowed {
        Some(allowed) if !allowed.iter().any(is_value) => {
            let names: Vec<String> = allowed.iter().map(ToString::to_string).collect();
            Err(format!("must be {}", names.join(" or ")))
        }
        _ => Ok(()),
    }
}

/// Whether `text` is one that a feature of texts may have.
pub(super) fn text(feature: &Feature, pattern: Option<&Regex>, text: &str) -> Result<(), String> {
    feature.text.check_length(text)?;
    if let Some(pattern) = pattern.filter(|pattern| !pattern.is_match(text)) {
        return Err(format!("must match {:?}", pattern.as_str()));
    }
    one_of(feature, |allowed| matches!(allowed, Constant::Text(known) if known == text))
}

/// The entity, which stands at `path`, as text; a number as JSON writes it, a whole one with all its digits.
pub(super) fn entity<'p>(slot: Slot, slots: &Slots, payload: &'p str, path: &str) -> Result<Cow<'p, str>, String> {
    /// Whole numbers from here on may have come as floating point, which confuses neighbours.
    const BEYOND_INTEGERS: f64 = 9_223_372_036_854_775_808.0;
    let entity = match slot {
        Slot::Text(Text::Payload { start, end }) => Cow::Borrowed(payload.get(start..end).unwrap_or_default()),
        Slot::Text(place) => Cow::Owned(slots.text(place, payload).to_owned()),
        Slot::Integer(value) => Cow::Owned(value.to_string()),
        Slot::Unsigned(value) => Cow::Owned(value.to_string()),
        Slot::Float(value) if value.abs() >= BEYOND_INTEGERS => {
            Cow::Owned(digits_at(payload, path).unwrap_or_else(|| serde_json::Value::from(value).to_string()))
        }
        Slot::Float(value) => Cow::Owned(serde_json::Value::from(value).to_string()),
        Slot::Missing => return Err("is required: send the entity as a string or a number".to_owned()),
        Slot::Outside(what) => return Err(outside(what)),
        other => return Err(format!("must be a string or a number, not {}", other.what())),
    };
    check_entity(&entity)?;
    Ok(entity)
}

/// Whether `entity` can name one: it becomes a key, a label and a column of text in a database.
///
/// # Errors
/// What is wrong and the mend, as a text that goes on from the name of the field.
pub fn check_entity(entity: &str) -> Result<(), String> {
    /// The longest one, in bytes.
    const MAX_BYTES: usize = 256;
    if entity.is_empty() {
        return Err("is empty: send the entity's name".to_owned());
    }
    if entity.len() > MAX_BYTES {
        return Err(format!("has {} bytes: an entity has at most {MAX_BYTES}", entity.len()));
    }
    match entity.chars().find(|c| c.is_control()) {
        Some(control) => Err(format!("has the control character U+{:04X}: leave it out", u32::from(control))),
        None => Ok(()),
    }
}

/// Whether `event_time` only makes sense beside `record_time` when it counts seconds.
pub(super) fn is_in_seconds(event_time: TimestampMs, record_time: TimestampMs) -> bool {
    const YEAR_MS: u64 = 366 * 86_400_000;
    let far = |time: TimestampMs| time.abs_diff(record_time) > 10 * YEAR_MS;
    let as_ms = event_time.saturating_mul(1000);
    far(event_time) && as_ms.abs_diff(record_time) < YEAR_MS
}

/// The event's time in milliseconds since the Unix epoch.
pub(super) fn time(slot: Slot, slots: &Slots, payload: &str) -> Result<TimestampMs, String> {
    const FORMS: &str = "RFC 3339 text such as \"2021-01-04T08:00:00Z\", or milliseconds since 1970";
    #[expect(clippy::cast_precision_loss, reason = "a date in milliseconds has at most 49 bits")]
    let found = match slot {
        Slot::Text(place) => instant::parse_rfc3339(slots.text(place, payload)).filter(|ms| instant::is_storable(*ms)),
        Slot::Integer(value) => instant::from_epoch_ms(value as f64),
        Slot::Unsigned(value) => instant::from_epoch_ms(value as f64),
        Slot::Float(value) => instant::from_epoch_ms(value),
        Slot::Missing => return Err(format!("is required: send {FORMS}")),
        Slot::Outside(what) => return Err(outside(what)),
        other => return Err(format!("must be {FORMS}, not {}", other.what())),
    };
    found.ok_or_else(|| format!("is no instant of the years 1 to 9999: send {FORMS}"))
}
