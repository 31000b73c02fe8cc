//! Tests of the events, most of them on the real sample.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use pulse_core::use_case::raw::RawUseCase;
use pulse_features::{Featurizer, Need};
use serde_json::{Value, json};

use super::*;

static TAXI: LazyLock<UseCaseDir> = LazyLock::new(|| {
    let usecases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../usecases");
    UseCaseDir::load(&usecases, "nyc_taxi").unwrap()
});
/// The first of the replayed trips: enough of every kind, and quick to prepare.
static ROWS: LazyLock<Vec<SampleRow>> = LazyLock::new(|| TAXI.sample().unwrap().unwrap().replay()[..4000].to_vec());
const NOW: TimestampMs = 1_700_000_000_000;

fn replay(rate: f64, seed: u64) -> Events {
    Events::of_rows(&TAXI.use_case, &ROWS, rate, seed).unwrap()
}

fn records(events: &Events, range: std::ops::Range<u64>) -> Vec<NewRecord> {
    let mut buffer = BytesMut::new();
    range.map(|i| events.record(i, NOW, &mut buffer)).collect()
}

#[test]
fn the_share_of_anomalies_is_the_rate_and_kinds_are_equally_likely() {
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for record in records(&replay(0.01, 1), 0..60_000) {
        if let Some(label) = record.headers.get_str(names::HEADER_LABEL) {
            *counts.entry(label.to_owned()).or_default() += 1;
        }
    }
    let outliers = ROWS.iter().filter(|row| row.genuine_outlier).count() as u32;
    assert_eq!(counts.remove(names::LABEL_GENUINE), Some(15 * outliers));
    assert_eq!(counts.len(), 6);
    assert!((530..670).contains(&counts.values().sum::<u32>()), "{counts:?}");
    assert!(counts.values().all(|count| (65..140).contains(count)), "{counts:?}");
}

#[test]
fn every_event_is_valid_and_moved() {
    let mut featurizer = Featurizer::new(&TAXI).unwrap();
    let mut row = Vec::new();
    for record in records(&replay(0.3, 2), 0..20_000) {
        let decoded = featurizer.decode(&record.payload, Need::Event, &mut row).unwrap();
        assert_eq!(decoded.event_time, Some(NOW));
        assert_eq!(decoded.entity.as_deref().map(str::as_bytes), record.key.as_deref());
        assert_eq!(record.timestamp, NOW);
        assert!(featurizer.check_time(NOW, record.timestamp).is_none());
    }
}

#[test]
fn headers_tell_the_truth_and_the_offset() {
    let original = ROWS[3].event.clone();
    let record = records(&replay(0.0, 0), 3..4).remove(0);
    assert_eq!(record.headers.get_str(names::HEADER_USE_CASE), Some("nyc_taxi"));
    assert_eq!(record.headers.get_str(names::HEADER_SEQUENCE), Some("3"));
    assert_eq!(record.headers.get_str(names::HEADER_LABEL), None);
    let offset: i64 = record.headers.get_str(names::HEADER_TIME_OFFSET).unwrap().parse().unwrap();
    let moved: serde_json::Map<String, Value> = serde_json::from_slice(&record.payload).unwrap();
    for (field, value) in &original {
        if field.ends_with("_time") {
            let time = |value: &Value| pulse_features::parse_rfc3339(value.as_str().unwrap()).unwrap();
            assert_eq!(time(&moved[field]) - time(value), offset, "{field}");
        } else {
            assert_eq!(&moved[field], value, "{field}");
        }
    }
    assert_eq!(moved.len(), original.len(), "the genuine_outlier column is no part of the event");
}

#[test]
fn anomalies_are_as_strong_as_stated() {
    let (plain, injected) = (records(&replay(0.0, 3), 0..20_000), records(&replay(0.2, 3), 0..20_000));
    let mut seen = BTreeMap::new();
    for (before, after) in plain.iter().zip(&injected) {
        let label = after.headers.get_str(names::HEADER_LABEL);
        let Some(label) = label.filter(|&label| label != names::LABEL_GENUINE) else {
            assert_eq!(before.payload, after.payload);
            continue;
        };
        let number = |record: &NewRecord, field: &str| {
            serde_json::from_slice::<Value>(&record.payload).unwrap()[field].as_f64().unwrap()
        };
        let change = |field: &str| (number(before, field), number(after, field));
        let (fare, tip, total) = (change("fare_amount"), change("tip_amount"), change("total_amount"));
        let (duration, distance) = (change("trip_duration"), change("trip_distance"));
        let strength = match label {
            "fare_spike" => fare.1 / fare.0,
            "meter_left_on" => duration.1 / duration.0,
            "odometer_jump" => distance.1 / distance.0,
            "no_movement" => fare.1,
            "tip_fraud" => tip.1 / fare.0,
            "clock_too_fast" => duration.0 / duration.1,
            other => panic!("{other}"),
        };
        assert_eq!(label == "no_movement", distance.1 == 0.0);
        assert!((total.1 - total.0 - (fare.1 - fare.0) - (tip.1 - tip.0)).abs() < 0.011, "{label}");
        let (low, high) = seen.entry(label.to_owned()).or_insert((f64::INFINITY, 0.0_f64));
        (*low, *high) = (low.min(strength), high.max(strength));
    }
    let stated = [
        ("clock_too_fast", 8.0, 16.0),
        ("fare_spike", 4.0, 12.0),
        ("meter_left_on", 7.0, 20.0),
        ("no_movement", 40.0, 100.0),
        ("odometer_jump", 8.0, 32.0),
        ("tip_fraud", 2.0, 5.0),
    ];
    assert_eq!(seen.len(), stated.len());
    for ((kind, (low, high)), (name, least, most)) in seen.iter().zip(stated) {
        assert_eq!(kind, name);
        // Rounding a short time or distance moves its ratio a little.
        assert!(*low > least * 0.93 && *low < least * 1.2, "{kind}: {low}");
        assert!(*high < most * 1.07 && *high > most * 0.9, "{kind}: {high}");
    }
}

#[test]
fn events_depend_on_seed_and_number_alone() {
    let (one, again, other) = (replay(0.05, 4), replay(0.05, 4), replay(0.05, 5));
    assert_eq!(records(&one, 100..3000)[900..], records(&again, 1000..3000));
    assert_ne!(records(&one, 0..3000), records(&other, 0..3000));
    let count = ROWS.len() as u64;
    let plain = replay(0.0, 4);
    assert_eq!(records(&plain, 5..6)[0].payload, records(&plain, count + 5..count + 6)[0].payload);
}

#[test]
fn the_sample_s_time_goes_on_over_passes() {
    let replay = replay(0.0, 0);
    let count = ROWS.len() as u64;
    let span = replay.elapsed_ms(0, count - 1);
    let gap = replay.elapsed_ms(count - 1, count);
    assert!(gap > 0 && gap < 120_000, "{gap}");
    assert_eq!(replay.elapsed_ms(0, 3 * count), 3 * (span + gap));
    assert_eq!(replay.elapsed_ms(7, 7), 0);
}

#[test]
fn rates_out_of_reach_are_refused() {
    let refused = |rate| Events::of_rows(&TAXI.use_case, &ROWS, rate, 0).unwrap_err().to_string();
    assert!(refused(1.0).contains("anomaly rate 1 is out of reach: only 0.9"), "{}", refused(1.0));
    assert!(refused(-0.1).contains("must be between 0 and 1"));
    assert!(refused(f64::NAN).contains("must be between 0 and 1"));
}

/// Drawn events: of 40 devices, every ten seconds, with an anomaly of each shape.
fn drawn(rate: f64, seed: u64) -> Events {
    let config = json!({
        "name": "devices", "entity": {"field": "device.id"}, "timestamp": {"field": "at"},
        "features": [
            {"name": "power.watts", "minimum": 0, "maximum": 900},
            {"name": "requests", "type": "integer"}, "volts",
            {"name": "mode", "enum": ["eco", "full"]}, {"name": "door", "type": "boolean"},
        ],
        "simulator": {
            "profile": {
                "entities": {"count": 40, "prefix": "\"device\" "}, "interval_seconds": 10,
                "features": {
                    "power.watts": {"mean": 10, "deviation": 1, "daily": 5, "depends_on": {"volts": 2}, "decimals": 1},
                    "requests": {"distribution": "poisson", "mean": 20},
                    "volts": {"mean": 230, "deviation": 2, "spread": 0, "decimals": 2},
                    "door": {"values": [false, false, false, true]},
                },
            },
            "anomalies": [
                {"name": "spike", "changes": [{"feature": "power.watts", "add": [300, 600]}]},
                {"name": "shift", "lasts": [10, 20], "changes": [{"feature": "requests", "multiply": [3, 5]}]},
                {"name": "drift", "lasts": 30, "grows": true, "changes": [{"feature": "volts", "add": 100}]},
                {"name": "stuck", "lasts": [10, 20], "changes": [{"feature": "volts", "hold": true}]},
            ],
        },
    });
    let use_case = UseCase::try_from(serde_json::from_value::<RawUseCase>(config).unwrap()).unwrap();
    Events::drawn(&use_case, rate, seed).unwrap()
}

fn payload(record: &NewRecord) -> Value {
    serde_json::from_slice(&record.payload).unwrap()
}

#[test]
fn drawn_events_are_what_the_profile_says() {
    let events = drawn(0.0, 1);
    let records = records(&events, 0..40 * 1000);
    let first = payload(&records[6]);
    assert_eq!(first["device"]["id"], "\"device\" 07");
    assert_eq!(records[6].key.as_deref(), Some(&b"\"device\" 07"[..]));
    assert_eq!(pulse_features::parse_rfc3339(first["at"].as_str().unwrap()), Some(NOW));
    assert_eq!(events.elapsed_ms(0, 40 * 8640), 86_400_000, "a day has 8,640 events of each of 40 devices");
    let (mut sums, mut doors, mut eco) = ([0.0; 3], 0, 0);
    for record in &records {
        let event = payload(record);
        let number = |path: &str| event.pointer(path).unwrap().as_f64().unwrap();
        let (power, volts, requests) = (number("/power/watts"), number("/volts"), number("/requests"));
        assert!(event["requests"].is_u64() && (power * 10.0).round() / 10.0 == power, "{event}");
        assert!((power - 2.0 * volts).abs() < 35.0, "{event}");
        sums = [sums[0] + power, sums[1] + volts, sums[2] + requests];
        doors += u32::from(event["door"] == true);
        eco += u32::from(event["mode"] == "eco");
    }
    let [power, volts, requests] = sums.map(|sum| sum / 40_000.0);
    assert!((volts - 230.0).abs() < 0.1 && (requests - 20.0).abs() < 1.5, "{volts} {requests}");
    assert!((power - 470.0).abs() < 6.0, "{power}");
    assert!((9_500..10_500).contains(&doors) && (19_000..21_000).contains(&eco), "{doors} {eco}");
}

#[test]
fn drawn_events_depend_on_seed_and_number_alone() {
    let (one, again, other) = (drawn(0.1, 4), drawn(0.1, 4), drawn(0.1, 5));
    assert_eq!(records(&one, 100..9000)[900..], records(&again, 1000..9000));
    assert_ne!(records(&one, 0..100), records(&other, 0..100));
}

#[test]
fn episodes_change_what_they_say_and_nothing_else() {
    let (plain, odd) = (drawn(0.0, 9), drawn(0.2, 9));
    let (before, after) = (records(&plain, 0..40_000), records(&odd, 0..40_000));
    let mut counts: BTreeMap<&str, f64> = BTreeMap::new();
    for (i, (plain, odd)) in before.iter().zip(&after).enumerate() {
        let (was, is) = (payload(plain), payload(odd));
        let Some(label) = odd.headers.get_str(names::HEADER_LABEL) else {
            assert_eq!(plain.payload, odd.payload);
            continue;
        };
        *counts
            .entry(["spike", "shift", "drift", "stuck"].into_iter().find(|&name| name == label).unwrap())
            .or_default() += 1.0;
        let number = |event: &Value, path: &str| event.pointer(path).unwrap().as_f64().unwrap();
        let change = |path: &str| number(&is, path) - number(&was, path);
        let left_alone: &[&str] = match label {
            "spike" => &["/volts", "/requests"],
            "shift" => &["/volts", "/power/watts"],
            _ => &["/requests", "/power/watts"],
        };
        assert!(left_alone.iter().all(|path| change(path) == 0.0), "{label}: {was} became {is}");
        match label {
            "spike" => assert!(change("/power/watts") >= 300.0 || number(&is, "/power/watts") == 900.0, "{is}"),
            "shift" => assert!(is["requests"].is_u64() && change("/requests") >= 0.0),
            "drift" => {
                let step = (change("/volts") * 0.3).round();
                assert!((1.0..=30.0).contains(&step), "a thirtieth more with every event: {step}");
            }
            _ => {
                let place = odd_place(odd, &after, i);
                assert_eq!(is["volts"], payload(&before[place])["volts"], "the value before the episode");
            }
        }
    }
    for (kind, count) in counts {
        assert!((0.035..0.065).contains(&(count / 40_000.0)), "{kind}: {count}");
    }

    /// The event of the same device before the run of `odd`'s label.
    fn odd_place(odd: &NewRecord, after: &[NewRecord], mut i: usize) -> usize {
        let label = odd.headers.get_str(names::HEADER_LABEL);
        while i >= 40 && after[i].headers.get_str(names::HEADER_LABEL) == label {
            i -= 40;
        }
        i
    }
}

#[test]
fn episodes_cover_consecutive_trips_of_a_zone() {
    let mut use_case = TAXI.use_case.clone();
    use_case.simulator.anomalies.truncate(1);
    use_case.simulator.anomalies[0].lasts = 5..=5;
    let events = Events::of_rows(&use_case, &ROWS, 0.05, 3).unwrap();
    let records = records(&events, 0..40_000);
    let mut runs: BTreeMap<&[u8], Vec<bool>> = BTreeMap::new();
    for (i, record) in records.iter().enumerate() {
        let row = &ROWS[i % ROWS.len()];
        let label = record.headers.get_str(names::HEADER_LABEL);
        if events.place(i as u64).entity < 3 && !row.genuine_outlier {
            runs.entry(record.key.as_deref().unwrap()).or_default().push(label.is_some());
        }
    }
    let all: Vec<bool> = runs.into_values().flatten().collect();
    let starts = all.windows(2).filter(|pair| !pair[0] && pair[1]).count();
    let covered = all.iter().filter(|&&covered| covered).count();
    #[expect(clippy::cast_precision_loss)]
    let length = covered as f64 / starts as f64;
    assert!((3.5..7.5).contains(&length), "{covered} trips in {starts} episodes");
}
