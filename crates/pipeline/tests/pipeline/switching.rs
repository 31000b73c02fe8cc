//! Another model, another configuration.

use std::collections::HashMap;

use proptest::prelude::*;
use pulse_core::ports::{Scores, StateRecord};
use pulse_pipeline::{PartitionPipeline, Versions};

use crate::setup::{CONFIG, batch, calm, compact, events, parts, record, run, setup, setup_with};

#[test]
fn a_state_goes_on_where_only_judging_changed_and_is_built_anew_where_what_it_holds_would_differ() {
    let (mut pipeline, _) = setup(None).pipeline(&[]);
    run(&mut pipeline, &calm("a", 12));
    let snapshot = pipeline.snapshot();
    let goes_on = |from: &str, to: &str| {
        assert!(CONFIG.contains(from), "{from}");
        setup_with(&CONFIG.replace(from, to), None).restore(Some(12), &snapshot).rebuilt.is_none()
    };
    for (from, to) in [
        ("threshold: 3", "threshold: 4"),
        ("min_values: 10", "min_values: 5"),
        ("[value, load], decides: true", "[value], seed: 7"),
        ("threshold: 3, decides: true", "threshold: 3, decides: false"),
        ("maximum: 1000", "maximum: 1000, unit: bar, description: as measured"),
        ("multiply: 10", "multiply: 5"),
    ] {
        assert!(goes_on(from, to), "{to}");
    }
    for (from, to) in [
        ("maximum: 1000", "maximum: 999"),
        ("maximum: 1000", "maximum: 1000, minimum: 0"),
        ("maximum: 1000", "maximum: 1000, type: integer"),
        ("required: false", "required: true"),
        ("max_ahead_seconds: 60", "max_ahead_seconds: 61"),
        ("timestamp: { field: at, max_ahead_seconds: 60 }", ""),
        ("field: device_id", "field: device"),
        ("features: [{", "rules: [value < 500]\nfeatures: [{"),
        ("features: [{", "payload: { max_bytes: 1000 }\nfeatures: [{"),
        ("window: 20", "window: 21"),
        ("window: 20", "window: 20, features: [value]"),
        ("window: 20", "window: 20, max_entities: 1000"),
    ] {
        assert!(!goes_on(from, to), "{to}");
    }
}

#[test]
fn a_switch_of_versions_is_told_once_and_outlives_a_restart_and_a_rebuilt_snapshot() {
    let columns = ["value".to_owned(), "load".to_owned()];
    let setup = setup(Some(&columns));
    let (mut pipeline, _) = setup.pipeline(&[]);
    let note = |pipeline: &mut PartitionPipeline, offset: u64, version: &str| {
        let scores = Scores { model_version: version.into(), ..Scores::default() };
        let prepared = pipeline.prepare(batch(&[record(offset, "a", 1.0)]));
        pipeline.note_versions(&prepared, &scores)
    };
    let mut state: Vec<StateRecord> = note(&mut pipeline, 0, "v1");
    assert!(note(&mut pipeline, 5, "v1").is_empty());
    state.extend(note(&mut pipeline, 9, "v2"));
    let told: Vec<(u64, String)> =
        state.iter().filter_map(Versions::of).map(|v| (v.offset, v.model_version.to_string())).collect();
    assert_eq!(told, [(0, "v1".to_owned()), (9, "v2".to_owned())]);
    let found = setup.restore(Some(12), &state);
    assert!(found.rebuilt.is_some(), "versions alone are no snapshot");
    let mut again = found.pipeline;
    assert!(again.snapshot().iter().all(|record| record.value.is_some()), "what they tell stays");
    assert!(note(&mut again, 12, "v2").is_empty());
    assert!(!note(&mut again, 13, "v1").is_empty());
    let mut other = setup.restore(None, &state).pipeline;
    assert_eq!(other.snapshot().iter().filter(|record| record.value.is_none()).count(), 2, "it was another log");
    assert!(!note(&mut other, 0, "v2").is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_told_of_versions_does_not_depend_on_batch_borders(
        records in events(), switch in 0..200_usize, cuts in prop::collection::vec(0..200_usize, 0..8),
    ) {
        let columns = ["value".to_owned(), "load".to_owned()];
        let other = CONFIG.replace("threshold: 3", "threshold: 4");
        // By another configuration and model, by another configuration without a model, and back.
        let setups = [setup(Some(&columns)), setup_with(&other, Some(&columns)), setup_with(&other, None), setup(Some(&columns))];
        let told = |cuts: &[usize]| -> Vec<(u64, String, String)> {
            let mut state = HashMap::new();
            for (number, records) in parts(&records, &[switch, 2 * switch, 3 * switch]).into_iter().enumerate() {
                let setup = &setups[number];
                let so_far: Vec<StateRecord> = state.values().cloned().collect();
                let (mut pipeline, _) = setup.pipeline(&so_far);
                for part in parts(records, cuts) {
                    let prepared = pipeline.prepare(batch(part));
                    let is_scored = !prepared.rows().is_empty();
                    let model_version = if is_scored { format!("v{}", number % 3).into() } else { "".into() };
                    let scores = Scores { model_version, ..Scores::default() };
                    compact(&mut state, pipeline.note_versions(&prepared, &scores));
                }
                compact(&mut state, pipeline.snapshot());
            }
            let mut told: Vec<Versions> = state.values().filter_map(Versions::of).collect();
            told.sort_by_key(|versions| versions.offset);
            told.into_iter().map(|v| (v.offset, v.model_version, v.config_version)).collect()
        };
        let whole = told(&[]);
        prop_assert_eq!(whole.first().map(|(offset, ..)| *offset), Some(0), "whatever becomes of the first record");
        prop_assert_eq!(whole, told(&cuts));
    }

    #[test]
    fn what_comes_after_other_settings_does_not_depend_on_when_the_last_snapshot_was_made(
        records in events(), switch in 1..200_usize, saved in 0..200_usize, max_entities in 1..3_usize,
    ) {
        let switch = switch.min(records.len());
        let rolling = format!("window: 20, max_entities: {max_entities},");
        let others = [CONFIG.replace("maximum: 1000", "maximum: 11"), CONFIG.replace("window: 20,", &rolling)];
        for other in others {
            let (before, after) = (setup(None), setup_with(&other, None));
            let outputs = |saved: usize| {
                let (mut pipeline, mut state) = (before.pipeline(&[]).0, HashMap::new());
                run(&mut pipeline, &records[..saved]);
                compact(&mut state, pipeline.snapshot());
                run(&mut pipeline, &records[saved..switch]);
                let state: Vec<StateRecord> = state.into_values().collect();
                let found = after.restore(Some(switch as u64), &state);
                let known = usize::try_from(found.replay_from.unwrap_or_default()).unwrap();
                let mut pipeline = found.pipeline;
                if known < switch {
                    pipeline.replay(&batch(&records[known..switch]));
                }
                run(&mut pipeline, &records[switch..])
            };
            prop_assert_eq!(outputs(switch), outputs(saved.min(switch)));
        }
    }
}
