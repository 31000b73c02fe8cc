//! Records on their way from librdkafka: collected into batches that share one buffer.

use std::sync::Arc;

use bytes::BytesMut;
use pulse_core::{Record, RecordBatch};
use rdkafka::message::BorrowedMessage;

use crate::reading::Laid;

/// Records of a batch at the most.
pub(crate) const RECORDS: usize = 2048;
/// Bytes from which a batch is complete.
pub(crate) const BYTES: usize = 1 << 20;

/// A batch that grows.
#[derive(Debug, Default)]
pub(crate) struct Growing {
    buffer: BytesMut,
    laid: Vec<Laid>,
}

impl Growing {
    pub(crate) fn is_empty(&self) -> bool {
        self.laid.is_empty()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.laid.len() >= RECORDS || self.buffer.len() >= BYTES
    }

    pub(crate) fn push(&mut self, message: &BorrowedMessage<'_>) {
        self.laid.push(Laid::lay(message, &mut self.buffer));
    }

    /// What was collected. The next batch begins with as much room as this one needed.
    pub(crate) fn finish(&mut self) -> Vec<Record> {
        let next =
            Self { buffer: BytesMut::with_capacity(self.buffer.len()), laid: Vec::with_capacity(self.laid.len()) };
        let Self { buffer, laid } = std::mem::replace(self, next);
        let buffer = buffer.freeze();
        laid.iter().map(|laid| laid.record(&buffer)).collect()
    }
}

/// A batch that is handed out in parts.
#[derive(Debug)]
pub(crate) struct Rest {
    topic: Arc<str>,
    partition: u32,
    records: std::vec::IntoIter<Record>,
    next_offset: u64,
    high_watermark: u64,
}

impl Rest {
    pub(crate) fn new(batch: RecordBatch) -> Self {
        let RecordBatch { topic, partition, records, next_offset, high_watermark } = batch;
        Self { topic, partition, records: records.into_iter(), next_offset, high_watermark }
    }

    pub(crate) fn partition(&self) -> u32 {
        self.partition
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records.len() == 0
    }

    /// The next `max` records; the last part reaches as far as the whole did.
    pub(crate) fn take(&mut self, max: usize) -> RecordBatch {
        let records: Vec<Record> = self.records.by_ref().take(max).collect();
        let next_offset = match records.last() {
            Some(last) if !self.is_empty() => last.offset + 1,
            _ => self.next_offset,
        };
        let (topic, partition, high_watermark) = (Arc::clone(&self.topic), self.partition, self.high_watermark);
        RecordBatch { topic, partition, records, next_offset, high_watermark }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;
    use pulse_core::Headers;

    use super::*;

    fn batch(offsets: &[u64], tail: u64) -> RecordBatch {
        let record = |&offset: &u64| Record {
            offset,
            timestamp: 0,
            key: None,
            payload: Bytes::new(),
            headers: Headers::default(),
        };
        let next_offset = offsets.last().map_or(0, |last| last + 1) + tail;
        let records = offsets.iter().map(record).collect();
        RecordBatch { topic: "t".into(), partition: 3, records, next_offset, high_watermark: next_offset + 9 }
    }

    proptest! {
        #[test]
        fn parts_make_the_whole(
            offsets in prop::collection::btree_set(0..1000_u64, 1..60),
            tail in 0..5_u64,
            sizes in prop::collection::vec(1..20_usize, 1..80),
        ) {
            let offsets: Vec<u64> = offsets.into_iter().collect();
            let whole = batch(&offsets, tail);
            let mut rest = Rest::new(whole.clone());
            let (mut found, mut next) = (Vec::new(), 0);
            for size in sizes.into_iter().cycle() {
                let part = rest.take(size);
                prop_assert!(part.records.len() <= size && part.next_offset > next);
                prop_assert!(part.records.iter().all(|record| (next..part.next_offset).contains(&record.offset)));
                next = part.next_offset;
                found.extend(part.records.iter().map(|record| record.offset));
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(found, offsets);
            prop_assert_eq!(next, whole.next_offset);
        }
    }
}
