//! What a partition's pipeline promises: every record accounted for, and verdicts that depend on nothing but the events.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod setup;
mod switching;

use std::collections::HashMap;

use bytes::Bytes;
use jiff::Timestamp;
use proptest::prelude::*;
use pulse_core::names::{HEADER_LABEL, HEADER_ORIGIN, HEADER_REASONS, HEADER_USE_CASE};
use pulse_core::ports::{Scores, StateRecord};
use pulse_core::{Anomaly, Headers, NewRecord, Record, Severity};
use pulse_features::Fault;

use setup::{CONFIG, batch, calm, compact, events, forgetful, parts, record, record_at, run, setup, setup_with};

#[test]
fn an_anomaly_says_why() {
    let setup = setup(None);
    let (mut pipeline, _) = setup.pipeline(&[]);
    let mut records = calm("pump 1", 15);
    records.push(record(15, "pump 1", 100.0));
    let outputs = run(&mut pipeline, &records);
    assert_eq!(outputs.len(), 1);
    let anomaly: Anomaly = serde_json::from_slice(&outputs[0].payload).unwrap();
    assert_eq!(&*outputs[0].topic, "anomalies");
    assert_eq!(outputs[0].key.as_deref(), Some(b"pump 1".as_slice()));
    assert_eq!(outputs[0].headers.get_str("ce_id"), Some(anomaly.id.as_str()));
    assert_eq!((anomaly.partition, anomaly.offset, anomaly.entity.as_str()), (3, 15, "pump 1"));
    assert_eq!(anomaly.severity, Severity::Critical);
    let [detector] = anomaly.detectors.as_slice() else { panic!("{:?}", anomaly.detectors) };
    assert_eq!((detector.name.as_str(), detector.feature.as_deref()), ("rolling_zscore", Some("value")));
    assert_eq!(detector.value, Some(100.0));
    let expected = detector.expected.unwrap();
    assert!((expected.value - 11.0).abs() < 1e-9 && expected.low > 8.0 && expected.high < 14.0, "{expected:?}");
    assert!(anomaly.event.get().contains(r#""note":"kept""#), "unknown fields are kept");
}

#[test]
fn values_of_judged_events_are_counted() {
    let setup = setup(None);
    let (mut pipeline, _) = setup.pipeline(&[]);
    pipeline.replay(&batch(&calm("pump 1", 5)));
    let records = [(5, 10.0), (6, 12.5), (7, 2000.0)].map(|(offset, value)| record(offset, "pump 1", value));
    let prepared = pipeline.prepare(batch(&records));
    let outcome = pipeline.judge(prepared, &Scores::default(), Timestamp::UNIX_EPOCH);
    assert_eq!((outcome.counts.judged, outcome.counts.dead_letters), (2, 1));
    let buckets = setup.plan.buckets().unwrap();
    assert_eq!(buckets.columns().iter().map(|column| column.name.as_str()).collect::<Vec<_>>(), ["value", "load"]);
    let ranges = buckets.bounds(0).iter().map(Some).chain([None]).zip(outcome.columns.ranges(buckets, 0));
    let counted: Vec<(Option<&f64>, &u64)> = ranges.filter(|(_, count)| **count > 0).collect();
    assert_eq!(counted, [(Some(&10.0), &1), (Some(&100.0), &1)]);
    assert_eq!(outcome.columns.sum(0), 22.5);
    assert!(outcome.columns.ranges(buckets, 1).iter().all(|&count| count == 0), "what is missing is not counted");
}

#[test]
fn every_fault_is_a_dead_letter_with_its_reasons() {
    let setup = setup(None);
    let (mut pipeline, _) = setup.pipeline(&[]);
    let good = record(0, "a", 1.0);
    let with = |f: &dyn Fn(&mut Record)| {
        let mut record = good.clone();
        f(&mut record);
        record
    };
    let cases: Vec<(Record, &str)> = vec![
        (with(&|r| r.payload = Bytes::from_static(b"{\"device_id\":")), ""),
        (with(&|r| r.payload = Bytes::new()), ""),
        (with(&|r| r.payload = Bytes::from_static(b"\xff\xfe")), ""),
        (with(&|r| r.payload = r#"{"device_id":"a","at":"2026-01-01T00:00:00Z","value":"x"}"#.into()), "value"),
        (with(&|r| r.payload = r#"{"device_id":"a","at":"2026-01-01T00:00:00Z","value":1001}"#.into()), "value"),
        (with(&|r| r.payload = r#"{"device_id":"a","at":"2026-01-01T00:00:00Z"}"#.into()), "value"),
        (with(&|r| r.payload = r#"{"device_id":"a","at":"2026-01-01T00:02:00Z","value":1}"#.into()), "at"),
        (with(&|r| r.key = None), "key"),
        (with(&|r| r.key = Some(Bytes::from_static(b"b"))), "key"),
        (with(&|r| r.key = Some(Bytes::from_static(b"\xff"))), "key"),
    ];
    for (i, (mut record, field)) in cases.into_iter().enumerate() {
        record.offset = i as u64;
        let outputs = run(&mut pipeline, std::slice::from_ref(&record));
        let [dead] = outputs.as_slice() else { panic!("case {i}: {outputs:?}") };
        assert_eq!((&*dead.topic, &dead.payload, &dead.key), ("raw_events.dlq", &record.payload, &record.key));
        assert_eq!(dead.headers.get_str(HEADER_ORIGIN), Some(format!("raw_events/3/{i}").as_str()));
        let faults: Vec<Fault> = serde_json::from_slice(dead.headers.get(HEADER_REASONS).unwrap()).unwrap();
        assert_eq!(faults[0].field, field, "case {i}: {faults:?}");
    }
}

#[test]
fn a_time_that_is_none_is_a_dead_letter() {
    let setup = setup_with(&CONFIG.replace("timestamp: { field: at, max_ahead_seconds: 60 }", ""), None);
    let mut record = record(0, "a", 1.0);
    record.timestamp = i64::MAX;
    let outputs = run(&mut setup.pipeline(&[]).0, &[record]);
    let faults: Vec<Fault> = serde_json::from_slice(outputs[0].headers.get(HEADER_REASONS).unwrap()).unwrap();
    assert_eq!(faults[0].field, "timestamp");
}

#[test]
fn records_of_another_use_case_are_counted_and_left_alone() {
    let setup = setup(None);
    let (mut pipeline, _) = setup.pipeline(&[]);
    let mut other = record(0, "a", 1.0);
    other.headers = Headers::new([(HEADER_USE_CASE, b"nyc_taxi".as_slice())]);
    other.payload = Bytes::from_static(b"not even JSON");
    let prepared = pipeline.prepare(batch(&[other]));
    let outcome = pipeline.judge(prepared, &Scores::default(), Timestamp::UNIX_EPOCH);
    assert_eq!((outcome.counts.skipped, outcome.outputs.len()), (1, 0));
}

#[test]
fn the_model_decides_at_its_threshold_and_explains() {
    let columns = ["value".to_owned(), "load".to_owned()];
    let setup = setup(Some(&columns));
    let (mut pipeline, _) = setup.pipeline(&[]);
    let mut records = calm("a", 3);
    records[1].headers = Headers::new([(HEADER_LABEL, b"spike".as_slice())]);
    let prepared = pipeline.prepare(batch(&records));
    assert_eq!((prepared.rows().rows(), prepared.rows().width()), (3, 2));
    assert!(prepared.rows().row(0)[1].is_nan(), "a missing optional feature");
    let scores = Scores {
        model_version: "v1".into(),
        threshold: 0.6,
        highest: 0.9,
        scores: vec![0.59, 0.6, 0.9],
        contributions: vec![(1, vec![0.25, 0.75]), (2, vec![1.0, 0.0])],
    };
    let outcome = pipeline.judge(prepared, &scores, Timestamp::UNIX_EPOCH);
    let anomalies: Vec<Anomaly> =
        outcome.outputs.iter().map(|record| serde_json::from_slice(&record.payload).unwrap()).collect();
    assert_eq!(
        anomalies.iter().map(|a| (a.offset, a.severity)).collect::<Vec<_>>(),
        [(1, Severity::Warning), (2, Severity::Critical)]
    );
    assert_eq!(anomalies[0].contributions["load"], 0.75);
    assert_eq!(anomalies[0].detectors[0].model_version.as_deref(), Some("v1"));
    let judged: Vec<(u16, bool)> = outcome.judged.iter().map(|judged| (judged.label, judged.anomaly)).collect();
    assert_eq!(judged, [(0, false), (2, true), (0, true)]);
}

#[test]
fn a_snapshot_of_other_settings_or_damaged_is_left_aside() {
    let setup = setup(None);
    let (mut pipeline, _) = setup.pipeline(&[]);
    run(&mut pipeline, &calm("a", 12));
    let snapshot = pipeline.snapshot();
    assert_eq!(snapshot.len(), 2);
    assert_eq!(pipeline.snapshot().len(), 1, "nothing changed since");
    for cut in 0..snapshot[0].value.as_ref().unwrap().len() {
        let mut damaged = snapshot.clone();
        damaged[0].value = damaged[0].value.as_ref().map(|value| value.slice(..cut));
        let restored = setup.restore(Some(12), &damaged);
        assert_eq!((restored.replay_from, restored.rebuilt.is_some()), (None, true), "cut at {cut}");
        // The entity that damaged it never comes again; the state that is left can be used all the same.
        let mut rebuilt = restored.pipeline;
        rebuilt.replay(&batch(&calm("b", 3)));
        let mut kept: HashMap<Bytes, Option<Bytes>> = damaged.into_iter().map(|r| (r.key, r.value)).collect();
        kept.extend(rebuilt.snapshot().into_iter().map(|record| (record.key, record.value)));
        let kept: Vec<StateRecord> = kept.into_iter().map(|(key, value)| StateRecord { key, value }).collect();
        let (pipeline, from) = setup.pipeline(&kept);
        assert_eq!((pipeline.entities(), from), (1, 3));
    }
}

#[test]
fn a_snapshot_says_where_replay_begins_unless_it_is_of_another_log() {
    let setup = setup(None);
    let (mut pipeline, _) = setup.pipeline(&[]);
    run(&mut pipeline, &calm("a", 12));
    let snapshot = pipeline.snapshot();
    let found = |committed, state: &[StateRecord]| {
        let found = setup.restore(committed, state);
        (found.replay_from, found.judge_from, found.pipeline.entities(), found.rebuilt.is_some())
    };
    assert_eq!(found(Some(12), &snapshot), (Some(12), 12, 1, false));
    assert_eq!(found(Some(20), &snapshot), (Some(12), 20, 1, false));
    assert_eq!(found(Some(11), &snapshot), (None, 11, 0, true), "it knows an event that is still to be judged");
    assert_eq!(found(None, &snapshot), (Some(0), 0, 0, true), "the group was removed: it begins anew");
    assert_eq!(found(Some(5), &[]), (None, 5, 0, true), "the state is lost");
    assert_eq!(found(None, &[]), (Some(0), 0, 0, false));
    let beginning = setup.restore(None, &[]).pipeline.snapshot();
    assert_eq!(found(Some(0), &beginning), (Some(0), 0, 0, false), "what was there before the start is never replayed");
}

#[test]
fn of_too_many_entities_those_least_recently_seen_are_forgotten() {
    let setup = forgetful(16);
    let (mut pipeline, mut state) = (setup.pipeline(&[]).0, HashMap::new());
    let devices: Vec<String> = (0..16).map(|i| format!("d{i:02}")).collect();
    let mut records: Vec<Record> = (0..).zip(&devices).map(|(offset, device)| record(offset, device, 1.0)).collect();
    // The first is seen again; then two of sixteen make room, once a new one comes.
    records.extend([record(16, "d00", 1.0), record(17, "new", 1.0), record(18, "newer", 1.0)]);
    run(&mut pipeline, &records[..17]);
    compact(&mut state, pipeline.snapshot());
    assert_eq!((pipeline.entities(), pipeline.forgotten(), state.len()), (16, 0, 17));
    run(&mut pipeline, &records[17..]);
    compact(&mut state, pipeline.snapshot());
    assert_eq!((pipeline.entities(), pipeline.forgotten()), (16, 2));
    let keys: Vec<&[u8]> = state.keys().map(|key| &key[..]).collect();
    assert_eq!(keys.len(), 17);
    for (entity, is_there) in [("d00", true), ("d01", false), ("d02", false), ("d03", true), ("newer", true)] {
        assert_eq!(keys.contains(&format!("entity/{entity}").as_bytes()), is_there, "{entity}");
    }
}

#[test]
fn a_snapshot_takes_no_more_than_it_says() {
    let setup = setup(None);
    let (mut pipeline, _) = setup.pipeline(&[]);
    for (device, count) in [("a", 1), ("b", 30), ("c", 12)] {
        run(&mut pipeline, &calm(device, count));
    }
    let said = pipeline.snapshot_bytes();
    let bytes = |record: &StateRecord| record.key.len() + record.value.as_ref().map_or(0, Bytes::len);
    let taken: usize = pipeline.snapshot().iter().map(bytes).sum();
    assert!(taken <= said && said < 4 * taken, "{taken} bytes, not {said}");
    assert!(pipeline.snapshot_bytes() < said / 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn verdicts_do_not_depend_on_batch_borders(
        records in events(), max_entities in 2..4_usize, cuts in prop::collection::vec(0..200_usize, 0..8),
    ) {
        let setup = forgetful(max_entities);
        let whole = run(&mut setup.pipeline(&[]).0, &records);
        let (mut pipeline, _) = setup.pipeline(&[]);
        let parts: Vec<NewRecord> = parts(&records, &cuts).into_iter().flat_map(|part| run(&mut pipeline, part)).collect();
        prop_assert_eq!(whole, parts);
    }

    #[test]
    fn a_rule_that_only_explains_says_what_it_would_say_if_it_decided(
        records in events(), snapshot_at in 0..200_usize, cuts in prop::collection::vec(0..200_usize, 0..4),
    ) {
        let columns = ["value".to_owned(), "load".to_owned()];
        let explaining = CONFIG.replace("threshold: 3, decides: true", "threshold: 3, decides: false");
        let (decides, explains) = (setup(Some(&columns)), setup_with(&explaining, Some(&columns)));
        let by_rule = |outputs: &[NewRecord]| -> HashMap<u64, Vec<String>> {
            let anomalies = outputs.iter().filter(|output| &*output.topic == "anomalies");
            anomalies.map(|output| {
                let anomaly: Anomaly = serde_json::from_slice(&output.payload).unwrap();
                let rolling = anomaly.detectors.iter().filter(|detector| detector.name == "rolling_zscore");
                (anomaly.offset, rolling.map(|detector| serde_json::to_string(detector).unwrap()).collect())
            }).collect()
        };
        let all = by_rule(&run(&mut decides.pipeline(&[]).0, &records));
        let (mut pipeline, _) = explains.pipeline(&[]);
        let mut borders: Vec<usize> = cuts.into_iter().map(|cut| cut.min(records.len())).collect();
        let saved = snapshot_at.min(records.len());
        borders.extend([0, saved, records.len()]);
        borders.sort_unstable();
        // A second snapshot at once would hold nothing but the position.
        borders.dedup();
        for border in borders.windows(2) {
            let (from, to) = (border[0], border[1]);
            if from == saved {
                pipeline = explains.pipeline(&pipeline.snapshot()).0;
            }
            for (offset, said) in by_rule(&run(&mut pipeline, &records[from..to])) {
                prop_assert_eq!(Some(&said), all.get(&offset), "offset {}", offset);
            }
        }
    }

    #[test]
    fn late_events_are_judged_in_the_order_of_the_log(
        values in prop::collection::vec((9.0..12.0_f64, prop::bool::weighted(0.1), 0..100_000_i64), 12..120),
    ) {
        let setup = setup(None);
        let now = Timestamp::from_second(1_767_225_600).unwrap();
        let log = |late: bool| -> Vec<Record> {
            let numbered = (0..).zip(&values);
            numbered.map(|(offset, &(value, odd, seconds))| {
                let at = now - jiff::SignedDuration::from_secs(if late { seconds } else { 0 });
                record_at(offset, "d", if odd { value * 20.0 } else { value }, &at.to_string())
            }).collect()
        };
        let verdicts = |records: &[Record]| -> Vec<(u64, f64, String)> {
            let outputs = run(&mut setup.pipeline(&[]).0, records);
            let anomalies = outputs.iter().map(|output| serde_json::from_slice(&output.payload).unwrap());
            anomalies.map(|a: Anomaly| (a.offset, a.score, serde_json::to_string(&a.detectors).unwrap())).collect()
        };
        prop_assert_eq!(verdicts(&log(true)), verdicts(&log(false)));
    }

    #[test]
    fn verdicts_do_not_depend_on_restarts(
        records in events(),
        max_entities in 2..4_usize,
        snapshots_at in prop::collection::vec(0..200_usize, 1..4),
        crash_after in 0..200_usize,
    ) {
        let setup = forgetful(max_entities);
        let whole = run(&mut setup.pipeline(&[]).0, &records);
        let mut saved: Vec<usize> = snapshots_at.into_iter().map(|at| at.min(records.len())).collect();
        saved.sort_unstable();
        let (mut first, mut outputs, mut state, mut done) = (setup.pipeline(&[]).0, Vec::new(), HashMap::new(), 0);
        for at in saved {
            outputs.extend(run(&mut first, &records[done..at]));
            compact(&mut state, first.snapshot());
            // Besides the entities there is the position.
            prop_assert!(state.len() <= max_entities + 1);
            done = at;
        }
        let crash = (done + crash_after).min(records.len());
        outputs.extend(run(&mut first, &records[done..crash]));
        let state: Vec<StateRecord> = state.into_values().collect();
        let (mut second, from) = setup.pipeline(&state);
        prop_assert_eq!(from, done as u64);
        second.replay(&batch(&records[done..crash]));
        outputs.extend(run(&mut second, &records[crash..]));
        prop_assert_eq!(whole, outputs);
    }
}
