//! A use case, its events, and pipelines of them.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use proptest::prelude::*;
use pulse_core::ports::{Restored, Scores, StateRecord};
use pulse_core::{Headers, NewRecord, Record, RecordBatch};
use pulse_features::{Featurizer, UseCaseDir};
use pulse_pipeline::{ColumnBuckets, PartitionPipeline, Plan, Prepared, Restoration};

pub(crate) const CONFIG: &str = "
name: devices
entity: { field: device_id }
timestamp: { field: at, max_ahead_seconds: 60 }
features: [{ name: value, maximum: 1000 }, { name: load, required: false }]
detectors:
  isolation_forest: { features: [value, load], decides: true }
  rolling_zscore: { window: 20, min_values: 10, threshold: 3, decides: true }
simulator:
  anomalies: [{ name: spike, changes: [{ feature: value, multiply: 10 }] }]
";

pub(crate) struct Setup {
    pub(crate) plan: Arc<Plan>,
    pub(crate) featurizer: Featurizer,
}

pub(crate) fn setup(model: Option<&[String]>) -> Setup {
    setup_with(CONFIG, model)
}

pub(crate) fn setup_with(config: &str, model: Option<&[String]>) -> Setup {
    let usecases = tempfile::tempdir().unwrap();
    let folder = usecases.path().join("devices");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("config.yaml"), config).unwrap();
    let dir = UseCaseDir::load(usecases.path(), "devices").unwrap();
    let featurizer = Featurizer::new(&dir).unwrap();
    let plan = Plan::new(&dir, &featurizer, model).unwrap();
    Setup { plan: Arc::new(plan.counting(ColumnBuckets::of(&dir, &featurizer).unwrap())), featurizer }
}

impl Setup {
    /// A pipeline that goes on with `snapshot`, or begins.
    pub(crate) fn pipeline(&self, snapshot: &[StateRecord]) -> (PartitionPipeline, u64) {
        let committed = (!snapshot.is_empty()).then_some(u64::MAX);
        let restoration = self.restore(committed, snapshot);
        assert_eq!(restoration.rebuilt, None);
        (restoration.pipeline, restoration.replay_from.unwrap())
    }

    pub(crate) fn restore(&self, committed: Option<u64>, snapshot: &[StateRecord]) -> Restoration {
        let restored = Restored { committed, start: 0, state: snapshot.to_vec() };
        PartitionPipeline::restore(Arc::clone(&self.plan), self.featurizer.clone(), &restored)
    }
}

pub(crate) fn record(offset: u64, device: &str, value: f64) -> Record {
    record_at(offset, device, value, "2026-01-01T00:00:00Z")
}

pub(crate) fn record_at(offset: u64, device: &str, value: f64, at: &str) -> Record {
    let payload = format!(r#"{{"device_id":"{device}","at":"{at}","value":{value},"note":"kept"}}"#);
    Record {
        offset,
        timestamp: 1_767_225_600_000,
        key: Some(Bytes::copy_from_slice(device.as_bytes())),
        payload: payload.into(),
        headers: Headers::default(),
    }
}

pub(crate) fn batch(records: &[Record]) -> RecordBatch {
    let next_offset = records.last().map_or(0, |record| record.offset + 1);
    RecordBatch {
        topic: "raw_events".into(),
        partition: 3,
        records: records.to_vec(),
        next_offset,
        high_watermark: next_offset,
    }
}

/// A model that flags values from 500 on, where there is one.
pub(crate) fn scores_of(prepared: &Prepared) -> Scores {
    let scores: Vec<f64> = prepared.rows().iter().map(|row| if row[0] >= 500.0 { 0.9 } else { 0.4 }).collect();
    let flagged = scores.iter().enumerate().filter(|(_, score)| **score > 0.5);
    let contributions = flagged.map(|(row, _)| (row, vec![0.5, 0.5])).collect();
    if scores.is_empty() {
        return Scores::default();
    }
    Scores { model_version: "v1".into(), threshold: 0.6, highest: 0.9, scores, contributions }
}

pub(crate) fn run(pipeline: &mut PartitionPipeline, records: &[Record]) -> Vec<NewRecord> {
    if records.is_empty() {
        return Vec::new();
    }
    let prepared = pipeline.prepare(batch(records));
    let scores = scores_of(&prepared);
    let outcome = pipeline.judge(prepared, &scores, Timestamp::UNIX_EPOCH);
    assert_eq!(outcome.counts.read, records.len() as u64);
    let accounted = outcome.counts.judged + outcome.counts.dead_letters + outcome.counts.skipped;
    assert_eq!(accounted, outcome.counts.read);
    outcome.outputs
}

pub(crate) fn calm(device: &str, count: u64) -> Vec<Record> {
    (0..count).map(|i| record(i, device, 10.0 + f64::from((i % 3) as u8))).collect()
}

pub(crate) fn events() -> impl Strategy<Value = Vec<Record>> {
    let event = (
        0..3_u8,
        prop_oneof![8 => 9.0..12.0_f64, 1 => -500.0..500.0_f64, 1 => 500.0..1000.0_f64, 1 => 1001.0..2000.0_f64],
    );
    prop::collection::vec(event, 1..200).prop_map(|events| {
        let numbered = events.into_iter().enumerate();
        numbered.map(|(i, (device, value))| record(i as u64, &format!("d{device}"), value)).collect()
    })
}

/// The parts of `records` between `cuts`.
pub(crate) fn parts<'r>(records: &'r [Record], cuts: &[usize]) -> Vec<&'r [Record]> {
    let mut borders: Vec<usize> = cuts.iter().map(|&cut| cut.min(records.len())).collect();
    borders.extend([0, records.len()]);
    borders.sort_unstable();
    borders.windows(2).map(|border| &records[border[0]..border[1]]).collect()
}

/// Of three devices none is forgotten, or always one.
pub(crate) fn forgetful(max_entities: usize) -> Setup {
    setup_with(&CONFIG.replace("window: 20,", &format!("window: 20, max_entities: {max_entities},")), None)
}

/// What a compacted topic keeps.
pub(crate) fn compact(state: &mut HashMap<Bytes, StateRecord>, records: Vec<StateRecord>) {
    for record in records {
        if record.value.is_some() {
            state.insert(record.key.clone(), record);
        } else {
            state.remove(&record.key);
        }
    }
}
