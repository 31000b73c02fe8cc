//! What an event costs before its model, with and without counting its columns: `cargo run --release -p pulse-pipeline --example columns_speed`.
#![expect(clippy::print_stdout, reason = "an example prints")]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use pulse_core::ports::Restored;
use pulse_core::{Headers, Record, RecordBatch};
use pulse_features::{Featurizer, UseCaseDir};
use pulse_pipeline::{ColumnBuckets, PartitionPipeline, Plan};

type Failure = Box<dyn std::error::Error>;

const BATCH: usize = 2048;
const BATCHES: usize = 10;
/// Rounds; the best one counts, so that what else the machine does matters little.
const ROUNDS: usize = 60;

fn main() -> Result<(), Failure> {
    let dir = UseCaseDir::load(Path::new("usecases"), "nyc_taxi")?;
    let featurizer = Featurizer::new(&dir)?;
    let plain = Arc::new(Plan::new(&dir, &featurizer, None)?);
    let counting = Plan::new(&dir, &featurizer, None)?.counting(ColumnBuckets::of(&dir, &featurizer)?);
    let counting = Arc::new(counting);
    let batch = batch(&dir)?;
    println!("{} columns, {} events a batch", featurizer.columns().len(), batch.records.len());
    let (mut without, mut with) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..ROUNDS {
        without = without.min(nanoseconds(&plain, &featurizer, &batch));
        with = with.min(nanoseconds(&counting, &featurizer, &batch));
    }
    println!("{without:.0} ns/event without counting, {with:.0} ns/event with: {:+.0}", with - without);
    Ok(())
}

fn batch(dir: &UseCaseDir) -> Result<RecordBatch, Failure> {
    let sample = dir.sample()?.ok_or("there is no sample")?;
    let mut records = Vec::with_capacity(BATCH);
    for (row, offset) in sample.replay().iter().take(BATCH).zip(0..) {
        let zone = row.event.get("pickup_zone").and_then(serde_json::Value::as_str).ok_or("a trip has no zone")?;
        records.push(Record {
            offset,
            timestamp: 1_767_225_600_000,
            key: Some(zone.to_owned().into()),
            payload: serde_json::to_vec(&row.event)?.into(),
            headers: Headers::default(),
        });
    }
    let end = records.len() as u64;
    Ok(RecordBatch { topic: "raw_events".into(), partition: 0, records, next_offset: end, high_watermark: end })
}

fn nanoseconds(plan: &Arc<Plan>, featurizer: &Featurizer, batch: &RecordBatch) -> f64 {
    let mut pipeline = PartitionPipeline::restore(Arc::clone(plan), featurizer.clone(), &Restored::default()).pipeline;
    let batches = vec![batch.clone(); BATCHES];
    let started = Instant::now();
    for batch in batches {
        std::hint::black_box(pipeline.prepare(batch));
    }
    started.elapsed().as_secs_f64() * 1e9 / (BATCHES * batch.records.len()) as f64
}
