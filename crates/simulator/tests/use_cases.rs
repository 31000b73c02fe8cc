//! The use cases that ship, and the smallest that there can be: all of their events are valid, injected ones included.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test, as it should")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::BytesMut;
use pulse_core::names::{HEADER_LABEL, LABEL_GENUINE};
use pulse_features::UseCaseDir;
use pulse_simulator::{Events, Refused, try_out};

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../usecases")
}

fn refused(dir: &UseCaseDir) -> Vec<Refused> {
    try_out(dir, 7).unwrap().refused
}

/// The use case `name` of this configuration.
fn made(name: &str, config: &str) -> UseCaseDir {
    let root = tempfile::TempDir::new().unwrap();
    fs::create_dir(root.path().join(name)).unwrap();
    fs::write(root.path().join(name).join("config.yaml"), config).unwrap();
    UseCaseDir::load(root.path(), name).unwrap()
}

/// How many of the first `count` events have each label.
fn labels(dir: &UseCaseDir, rate: f64, count: u64) -> BTreeMap<String, u64> {
    let events = Events::new(dir, rate, 5).expect("it has events");
    let (mut labels, mut buffer) = (BTreeMap::new(), BytesMut::new());
    for i in 0..count {
        let record = events.record(i, 1_700_000_000_000, &mut buffer);
        assert!(record.key.is_some_and(|key| !key.is_empty()), "event {i} has no entity");
        let label = record.headers.get_str(HEADER_LABEL).unwrap_or_default().to_owned();
        *labels.entry(label).or_default() += 1;
    }
    labels
}

#[test]
fn every_event_of_the_shipped_use_cases_is_valid() {
    let names = fs::read_dir(shipped()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    assert_eq!(names, ["device_metrics", "nyc_taxi", "server_logs"]);
    for name in names {
        let dir = UseCaseDir::load(&shipped(), &name).unwrap();
        assert_eq!(refused(&dir), [], "{name}");
    }
}

#[test]
fn anomalies_that_last_keep_to_the_rate() {
    // Of each entity some hundred events, for no episode reaches back before the first of them.
    for (name, count) in [("device_metrics", 300_000), ("server_logs", 60_000)] {
        let dir = UseCaseDir::load(&shipped(), name).unwrap();
        let mut labels = labels(&dir, 0.05, count);
        let (ordinary, genuine) = (labels.remove("").unwrap(), labels.remove(LABEL_GENUINE).unwrap_or(0));
        let injected = count - ordinary - genuine;
        assert!((count / 25..count / 17).contains(&injected), "{name}: {labels:?}");
        assert_eq!(labels.len(), dir.use_case.simulator.anomalies.len(), "{name}: {labels:?}");
    }
}

#[test]
fn the_smallest_use_case_has_events_with_entities_and_spikes() {
    let config = "name: custom_use_case\nfeatures: [feature_1, feature_2]\n\
        kafka: { topic: custom-topic }\nmetrics: { prefix: custom }\n";
    let dir = made("custom_use_case", config);
    assert_eq!(refused(&dir), []);
    let labels = labels(&dir, 0.01, 20_000);
    assert!((150..250).contains(&labels["spike"]) && labels.len() == 2, "{labels:?}");
}

#[test]
fn what_a_use_case_would_refuse_is_found() {
    let config = "name: orders\nfeatures: [price, total, { name: code, pattern: '^[0-9]+$' }]\n\
        simulator: { profile: { features: { code: { values: ['17', 'x'] } } } }\n";
    let dir = made("orders", config);
    let found = refused(&dir);
    assert!(found.iter().any(|refused| refused.fault.field == "code" && refused.label.is_none()), "{found:?}");
    assert!(found.len() <= 2, "each fault once for every kind: {found:?}");
}

#[test]
fn events_without_a_profile_obey_the_schema() {
    for (time, device) in [
        ("at, type: number", "device, enum: [north, south]"),
        ("at, type: integer, minimum: 0", "device, type: integer, minimum: 1000"),
        ("at, type: string", "device, minLength: 2, maxLength: 4"),
        ("at, minLength: 20", "device, type: number, exclusiveMaximum: 0"),
    ] {
        let dir = made(
            "pumps",
            &format!(
                "name: pumps\nentity: {{ field: device }}\ntimestamp: {{ field: at }}\nfeatures:\n  - {{ name: {time} }}\n  \
                 - {{ name: {device} }}\n  - {{ name: note, minLength: 3, maxLength: 5 }}\n  - {{ name: mode, const: eco }}\n  \
                 - {{ name: load, minimum: 0.1, maximum: 0.6, multipleOf: 0.125 }}\n"
            ),
        );
        assert_eq!(refused(&dir), [], "{time}, {device}");
    }
}
