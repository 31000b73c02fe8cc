//! Tests of the events, most of them on the real sample.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use pulse_features::{Featurizer, Need};

use super::*;

static TAXI: LazyLock<UseCaseDir> = LazyLock::new(|| {
    let usecases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../usecases");
    UseCaseDir::load(&usecases, "nyc_taxi").unwrap()
});
/// The first of the replayed trips: enough of every kind, and quick to prepare.
static ROWS: LazyLock<Vec<SampleRow>> = LazyLock::new(|| TAXI.sample().unwrap().unwrap().replay()[..4000].to_vec());
const NOW: TimestampMs = 1_700_000_000_000;

fn replay(rate: f64, seed: u64) -> Replay {
    Replay::of_rows(&TAXI.use_case, &ROWS, rate, seed).unwrap()
}

fn records(replay: &Replay, range: std::ops::Range<u64>) -> Vec<NewRecord> {
    let mut buffer = BytesMut::new();
    range.map(|i| replay.record(i, NOW, &mut buffer).unwrap()).collect()
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
        assert!(featurizer.check_ahead(NOW, record.timestamp).is_none());
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
    let count = one.rows.len() as u64;
    let plain = replay(0.0, 4);
    assert_eq!(records(&plain, 5..6)[0].payload, records(&plain, count + 5..count + 6)[0].payload);
}

#[test]
fn the_sample_s_time_goes_on_over_passes() {
    let replay = replay(0.0, 0);
    let count = replay.rows.len() as u64;
    let span = replay.elapsed_ms(0, count - 1);
    let gap = replay.elapsed_ms(count - 1, count);
    assert!(gap > 0 && gap < 120_000, "{gap}");
    assert_eq!(replay.elapsed_ms(0, 3 * count), 3 * (span + gap));
    assert_eq!(replay.elapsed_ms(7, 7), 0);
}

#[test]
fn rates_out_of_reach_are_refused() {
    let refused = |rate| Replay::of_rows(&TAXI.use_case, &ROWS, rate, 0).unwrap_err().to_string();
    assert!(refused(1.0).contains("anomaly rate 1 is out of reach: only 0.9"), "{}", refused(1.0));
    assert!(refused(-0.1).contains("must be between 0 and 1"));
    assert!(refused(f64::NAN).contains("must be between 0 and 1"));
}
