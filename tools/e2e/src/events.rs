//! What stands in topics.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Context as _, ensure};
use pulse_core::ports::{EventProducer as _, EventSource as _, Polled};
use pulse_core::{Classify as _, ErrorClass, RecordBatch};
use pulse_kafka::{KafkaProducer, KafkaSettings, KafkaSource};

use crate::stack::PATIENCE;

/// Calls so far, which tell the groups of readers apart.
static CALLS: AtomicU64 = AtomicU64::new(0);

/// Every committed record of `topic`, in the order of each partition, each once.
///
/// # Errors
/// When it cannot be read to its end, or a record comes twice.
pub async fn all_records(kafka: &KafkaSettings, topic: &str) -> anyhow::Result<Vec<RecordBatch>> {
    // A group of its own for every call: nobody else holds partitions.
    let group = format!("tests-{}-{}", std::process::id(), CALLS.fetch_add(1, Ordering::Relaxed));
    let mut source = KafkaSource::new(kafka, &group, topic)?;
    let mut asked = KafkaProducer::new(kafka)?;
    let (mut batches, started): (Vec<RecordBatch>, _) = (Vec::new(), Instant::now());
    loop {
        match source.poll(5000).await {
            Ok(Polled::Records(batch)) => {
                batches.push(batch);
                continue;
            }
            // Assigned again, they are read from their beginning.
            Ok(Polled::Revoked(partitions)) => {
                source.pause(&partitions);
                batches.retain(|batch| !partitions.contains(&batch.partition));
                continue;
            }
            Ok(_) => {}
            Err(error) if error.class() == ErrorClass::Retry => {}
            Err(error) => return Err(error).with_context(|| format!("reading {topic}")),
        }
        // That nothing came for a while says nothing: only the topic itself knows whether that was all. As nobody reads
        // more than there is, it was when the last offsets are the same, in whatever order.
        let read = last_offsets(&batches)?;
        match asked.last_records(topic).await {
            Ok(there) if sorted(there.iter().map(|record| record.offset)) == read => return Ok(batches),
            Err(error) if error.class() != ErrorClass::Retry => return Err(error.into()),
            _ => {}
        }
        ensure!(
            started.elapsed() < PATIENCE,
            "topic {topic} cannot be read to its end: {read:?} were the last offsets"
        );
    }
}

/// The offset of the last record that was read of each partition, sorted. Offsets have to rise.
fn last_offsets(batches: &[RecordBatch]) -> anyhow::Result<Vec<u64>> {
    let mut last = BTreeMap::new();
    for batch in batches {
        for record in &batch.records {
            let before = last.insert(batch.partition, record.offset);
            ensure!(before < Some(record.offset), "{}/{} came after {before:?}", batch.partition, record.offset);
        }
    }
    Ok(sorted(last.into_values()))
}

fn sorted(offsets: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut offsets: Vec<u64> = offsets.collect();
    offsets.sort_unstable();
    offsets
}

/// The payloads of `batches`, as text.
#[must_use]
pub fn payloads(batches: &[RecordBatch]) -> Vec<String> {
    let records = batches.iter().flat_map(|batch| &batch.records);
    records.map(|record| String::from_utf8_lossy(&record.payload).into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use pulse_core::{Headers, Record};

    use super::*;

    fn batch(partition: u32, offsets: &[u64]) -> RecordBatch {
        let record = |&offset: &u64| Record {
            offset,
            timestamp: 0,
            key: None,
            payload: Default::default(),
            headers: Headers::default(),
        };
        let records = offsets.iter().map(record).collect();
        RecordBatch { topic: "t".into(), partition, records, next_offset: 0, high_watermark: 0 }
    }

    #[test]
    fn a_record_that_comes_twice_is_noticed() {
        let batches = [batch(1, &[0, 1, 5]), batch(0, &[0]), batch(1, &[6, 9]), batch(2, &[])];
        assert_eq!(last_offsets(&batches).unwrap(), [0, 9]);
        assert!(last_offsets(&[batch(0, &[0, 1]), batch(0, &[1])]).is_err());
    }
}
