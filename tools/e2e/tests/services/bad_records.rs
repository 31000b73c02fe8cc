//! Records that no producer should send, beside those that are right.

use std::collections::BTreeMap;

use bytes::Bytes;
use pulse_core::ports::Clock as _;
use pulse_core::{Headers, NewRecord};
use pulse_runtime::SystemClock;
use serde_json::Value;

use crate::pipeline::Outcome;

const TRIP: &str = r#"{"pickup_zone":"JFK Airport","dropoff_time":"2026-01-05T08:00:00Z","trip_duration":1800,"trip_distance":5.2,"fare_amount":15.5,"total_amount":18.5}"#;

fn record(key: Option<&'static [u8]>, payload: impl Into<Bytes>) -> NewRecord {
    NewRecord {
        topic: "raw_events".into(),
        partition: None,
        timestamp: SystemClock.now().as_millisecond(),
        key: key.map(Bytes::from_static),
        payload: payload.into(),
        headers: Headers::default(),
    }
}

fn changed(from: &str, to: &str) -> NewRecord {
    assert!(TRIP.contains(from));
    record(Some(b"JFK Airport"), TRIP.replace(from, to))
}

/// Bad records for `nyc_taxi`: all that the use case has to refuse, and one of another use case, which it has to skip.
pub(crate) fn for_taxi() -> Vec<NewRecord> {
    let other = Headers::new([("pulse-use-case", b"server_logs".as_slice())]);
    let padding = format!(r#"{{"padding":"{}","#, "x".repeat(900_000));
    vec![
        record(Some(b"JFK Airport"), "{\"pickup_zone\":"),
        record(Some(b"JFK Airport"), ""),
        record(Some(b"JFK Airport"), "[]"),
        record(Some(b"JFK Airport"), &b"\xff\xfe\x00"[..]),
        changed(r#""fare_amount":15.5,"#, ""),
        changed(":15.5", r#":"15.5""#),
        changed(":15.5", ":1e6"),
        changed(":15.5", ":NaN"),
        changed(":15.5", ":1e999"),
        changed("2026-01-05", "2999-01-05"),
        changed("2026-01-05T08:00:00Z", "yesterday"),
        record(Some(b"Newark Airport"), TRIP),
        record(None, TRIP),
        record(Some(b"\xff"), TRIP),
        // Large, and broken at its end.
        record(Some(b"JFK Airport"), TRIP.replacen('{', &padding, 1).replace(":15.5", ":null")),
        NewRecord { headers: other, ..record(Some(b"JFK Airport"), "not for us") },
    ]
}

/// Every bad record but the one of another use case is a dead letter, unchanged, with its reasons.
pub(crate) fn check(sent: &[NewRecord], outcome: &Outcome) {
    let expected = &outcome.expected.dead_letters;
    assert_eq!(expected.len(), sent.len() - 1, "{expected:#?}");
    let mut found: BTreeMap<String, Value> = BTreeMap::new();
    for letter in outcome.dead_letters.iter().flat_map(|batch| &batch.records) {
        let origin = letter.headers.get_str("pulse-origin").unwrap();
        let reasons: Value = serde_json::from_slice(letter.headers.get("pulse-reasons").unwrap()).unwrap();
        let [_, partition, offset] = origin.split('/').collect::<Vec<_>>()[..] else { panic!("{origin}") };
        let (partition, offset): (u32, u64) = (partition.parse().unwrap(), offset.parse().unwrap());
        let batches = outcome.log.iter().filter(|batch| batch.partition == partition);
        let original = batches.flat_map(|batch| &batch.records).find(|record| record.offset == offset).unwrap();
        assert_eq!((&original.payload, &original.key), (&letter.payload, &letter.key), "{origin} came unchanged");
        assert!(found.insert(origin.to_owned(), reasons).is_none(), "{origin} is there twice");
    }
    assert_eq!(&found, expected);
    for reasons in found.values() {
        for reason in reasons.as_array().unwrap() {
            assert!(!reason["message"].as_str().unwrap().is_empty(), "{reason}");
        }
    }
}
