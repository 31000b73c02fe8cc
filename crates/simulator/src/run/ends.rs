//! How far the log has come, partition by partition.

use std::collections::HashMap;

use pulse_core::ports::EventProducer;
use pulse_core::{Record, names, partition_of};
use tracing::warn;

use super::MAX_BATCH;
use crate::events::Events;

/// The last event of ours in every partition of the topic.
///
/// Each partition holds its events in order without a hole, so that event `i` is in the log if the last one of its partition is
/// `i` or a later one. As the next batch is only begun when all of the one before are in the log, those missing before the last
/// event of all are fewer than a batch back.
#[derive(Debug)]
pub(super) struct Ends {
    partitions: u32,
    /// The event after the last one of all.
    next: u64,
    /// The last event of each partition that ends in one of ours.
    last: HashMap<u32, u64>,
    /// What is known of the other partitions.
    others: Others,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Others {
    /// They are empty.
    Empty,
    /// Some end in records of somebody else, behind which some of ours may stand.
    Unknown,
}

impl Ends {
    /// Reads them.
    pub(super) async fn read<P: EventProducer>(producer: &mut P, events: &Events) -> Result<Self, P::Error> {
        let topic = events.topic();
        let partitions = producer.partitions(topic).await?;
        Ok(Self::of(partitions, &producer.last_records(topic).await?, events))
    }

    fn of(partitions: u32, records: &[Record], events: &Events) -> Self {
        let topic = events.topic();
        let found: Vec<_> = records.iter().filter_map(|record| sequence(record, events.use_case())).collect();
        let next = found.iter().map(|(sequence, _)| sequence.saturating_add(1)).max().unwrap_or(0);
        let of_others = records.len() - found.len();
        if of_others > 0 {
            warn!(
                topic,
                of_others, "others write here, too: give the use case a topic of its own, or events may repeat"
            );
        }
        let place = |&(sequence, key): &(u64, &[u8])| (partition_of(key, partitions.max(1)), sequence);
        let last: HashMap<u32, u64> = found.iter().map(place).collect();
        if last.len() < found.len() {
            // Two partitions end in keys of one: where an event stands cannot be told from its key.
            warn!(topic, partitions, "the topic is not partitioned by key: what a cut append left out stays out");
            return Self { partitions, next, last: HashMap::new(), others: Others::Unknown };
        }
        let others = if of_others == 0 { Others::Empty } else { Others::Unknown };
        Self { partitions, next, last, others }
    }

    /// The event with which to go on: the one after the last.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// The events before [`next`](Self::next) that are not in the log: an append was cut. Where a partition's end is unknown,
    /// they are taken to be there.
    pub(super) fn left_out(&self, events: &Events) -> Vec<u64> {
        let mut numbers: Vec<u64> = (self.next.saturating_sub(MAX_BATCH)..self.next).collect();
        numbers.retain(|&i| self.is_missing(i, events).unwrap_or(false));
        numbers
    }

    /// Those of `numbers` that are not in the log after their append failed. Where a partition's end is unknown, they are taken to
    /// be missing.
    pub(super) fn missing(&self, numbers: &[u64], events: &Events) -> Vec<u64> {
        numbers.iter().copied().filter(|&i| self.is_missing(i, events).unwrap_or(true)).collect()
    }

    /// Whether event `i` is not in the log; none where that cannot be told.
    fn is_missing(&self, i: u64, events: &Events) -> Option<bool> {
        let partition = partition_of(&events.key(i), self.partitions.max(1));
        match self.last.get(&partition) {
            Some(&last) => Some(last < i),
            None => (self.others == Others::Empty).then_some(true),
        }
    }
}

/// The sequence number and the key of a record of ours.
fn sequence<'a>(record: &'a Record, use_case: &str) -> Option<(u64, &'a [u8])> {
    let ours = record.headers.get_str(names::HEADER_USE_CASE) == Some(use_case);
    let sequence = record.headers.get_str(names::HEADER_SEQUENCE).filter(|_| ours)?.parse().ok()?;
    Some((sequence, record.key.as_deref().unwrap_or_default()))
}
