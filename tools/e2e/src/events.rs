//! What stands in topics.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use pulse_core::RecordBatch;
use pulse_core::ports::{EventSource as _, Polled};
use pulse_kafka::{KafkaSettings, KafkaSource};

/// Polls that come back idle before a topic counts as read to its end.
const IDLE: u32 = 20;

/// Calls so far, which tell the groups of readers apart.
static CALLS: AtomicU64 = AtomicU64::new(0);

/// Every committed record of `topic`, in the order of each partition.
///
/// # Errors
/// When it cannot be read.
pub async fn all_records(kafka: &KafkaSettings, topic: &str) -> anyhow::Result<Vec<RecordBatch>> {
    // A group of its own for every call: nobody else holds partitions.
    let group = format!("tests-{}-{}", std::process::id(), CALLS.fetch_add(1, Ordering::Relaxed));
    let mut source = KafkaSource::new(kafka, &group, topic)?;
    let (mut batches, mut idle, mut assigned): (Vec<RecordBatch>, u32, bool) = (Vec::new(), 0, false);
    while !assigned || idle < IDLE || batches.last().is_some_and(|batch| batch.lag() > 0) {
        match source.poll(5000).await.with_context(|| format!("reading {topic}"))? {
            Polled::Assigned(_) => assigned = true,
            Polled::Records(batch) => {
                idle = 0;
                batches.push(batch);
            }
            Polled::Idle => idle += 1,
            // Assigned again, they are read from their beginning.
            Polled::Revoked(partitions) => batches.retain(|batch| !partitions.contains(&batch.partition)),
        }
        anyhow::ensure!(idle < 60 * IDLE, "topic {topic} cannot be read to its end");
    }
    Ok(batches)
}

/// The payloads of `batches`, as text.
#[must_use]
pub fn payloads(batches: &[RecordBatch]) -> Vec<String> {
    let records = batches.iter().flat_map(|batch| &batch.records);
    records.map(|record| String::from_utf8_lossy(&record.payload).into_owned()).collect()
}
