//! What was read and not stored yet.

use std::collections::BTreeMap;
use std::sync::Arc;

use pulse_core::ports::OffsetSpan;
use pulse_core::{Record, RecordBatch};
use tokio::time::Instant;

/// Bytes that are stored at once, at most about: without this limit, `batch_records` large anomalies would fill the memory.
const MOST_BYTES: usize = 16 << 20;

/// The records of all partitions that wait to be stored.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    partitions: BTreeMap<u32, Chunk>,
    /// Where the database ends, by partition.
    ends: BTreeMap<u32, u64>,
    records: usize,
    bytes: usize,
    since: Option<Instant>,
}

/// Consecutive records of one partition.
#[derive(Debug)]
pub(crate) struct Chunk {
    /// Where they stand. It may begin before the first record and end after the last, as offsets may have holes.
    pub(crate) span: OffsetSpan,
    /// The records.
    pub(crate) records: Vec<Record>,
}

impl Pending {
    /// Begins anew with `partitions`, of which the database holds what `positions` says.
    pub(crate) fn assign(&mut self, partitions: &[u32], positions: &[(u32, u64)]) {
        self.revoke(partitions);
        self.ends.extend(positions.iter().copied().filter(|(partition, _)| partitions.contains(partition)));
    }

    /// Forgets `partitions`: whoever has them now reads again what was not stored.
    pub(crate) fn revoke(&mut self, partitions: &[u32]) {
        for partition in partitions {
            self.ends.remove(partition);
            if let Some(chunk) = self.partitions.remove(partition) {
                self.records -= chunk.records.len();
                self.bytes -= chunk.records.iter().map(size).sum::<usize>();
            }
        }
        if self.partitions.is_empty() {
            self.since = None;
        }
    }

    /// Adds what follows.
    pub(crate) fn push(&mut self, topic: &Arc<str>, batch: RecordBatch) {
        let RecordBatch { partition, records, next_offset, .. } = batch;
        let first = records.first().map_or(next_offset, |record| record.offset);
        let from = self.ends.get(&partition).copied().unwrap_or(first);
        let span = OffsetSpan { topic: topic.clone(), partition, from, to: from };
        self.records += records.len();
        self.bytes += records.iter().map(size).sum::<usize>();
        self.since.get_or_insert_with(Instant::now);
        let chunk = self.partitions.entry(partition).or_insert(Chunk { span, records: Vec::new() });
        chunk.records.extend(records);
        chunk.span.to = next_offset;
        self.ends.insert(partition, next_offset);
    }

    /// Takes everything, to be stored.
    pub(crate) fn take(&mut self) -> Vec<Chunk> {
        self.records = 0;
        self.bytes = 0;
        self.since = None;
        std::mem::take(&mut self.partitions).into_values().collect()
    }

    /// Whether that is enough to be stored: `most` records, or [`MOST_BYTES`].
    pub(crate) fn is_full(&self, most: usize) -> bool {
        self.records >= most || self.bytes >= MOST_BYTES
    }

    /// Since when the oldest one waits; none when nothing does.
    pub(crate) fn since(&self) -> Option<Instant> {
        self.since
    }
}

fn size(record: &Record) -> usize {
    record.payload.len() + record.headers.encoded().len() + record.key.as_ref().map_or(0, |key| key.len())
}
