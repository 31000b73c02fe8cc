//! Taking partitions over: read the state, fence, read the committed offsets.
//!
//! The state comes first, because whoever holds the partition works on until it is fenced. What they commit to the state in
//! between is not missed: the events behind the state that was read are replayed.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use pulse_core::ports::{Restored, StateRecord};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{Message as _, Offset};
use tokio::task::{JoinSet, spawn_blocking};

use crate::admin::Admin;
use crate::context::Context;
use crate::error::KafkaError;
use crate::{query, reading, topics};

use super::partition::Holder;
use super::{Shared, StartAt};

/// Takes over `partitions`, and tells `each` of them what became of it as soon as it is known. After an error nothing became of
/// the others.
pub(super) async fn restore(
    shared: &Arc<Shared>,
    partitions: &[u32],
    may_grow: bool,
    mut each: impl FnMut(u32, Result<(Holder, Restored), KafkaError>),
) -> Result<(), KafkaError> {
    if partitions.is_empty() {
        return Ok(());
    }
    check(shared, partitions, may_grow).await?;
    let speaker = shared.speaker()?;
    let group = Arc::new(speaker.group_metadata().ok_or(KafkaError::Closed)?);
    let (asked, asking, wanted) = (Arc::clone(shared), speaker.clone(), partitions.to_vec());
    let states = spawn_blocking(move || states(&asked, &asking, &wanted)).await.map_err(|_| KafkaError::Closed)?;
    let mut states = states?;
    // All at once, for each takes some round trips.
    let mut taking = JoinSet::new();
    for &partition in partitions {
        let (shared, group, speaker) = (Arc::clone(shared), Arc::clone(&group), speaker.clone());
        taking.spawn(async move { (partition, Holder::take_over(shared, group, speaker, partition).await) });
    }
    while let Some(taken) = taking.join_next().await {
        let (partition, result) = taken.map_err(|_| KafkaError::Closed)?;
        let state = states.remove(&partition).unwrap_or_default();
        let restored = result.map(|(holder, Position { offset, is_committed })| {
            (holder, Restored { committed: is_committed.then_some(offset), start: offset, state })
        });
        each(partition, restored);
    }
    Ok(())
}

/// The input has the partitions, and the state has as many; it gets more when the input did.
async fn check(shared: &Arc<Shared>, partitions: &[u32], may_grow: bool) -> Result<(), KafkaError> {
    let last = partitions.iter().copied().max().unwrap_or_default();
    let input = shared.catalog.topic_with(&shared.topic, last).await?.partitions;
    if last >= input {
        return Err(KafkaError::NoSuchPartition { topic: shared.topic.to_string(), partition: last });
    }
    // Another member may have been faster.
    let state = shared.catalog.topic_with(&shared.state_topic, last).await?.partitions;
    if last < state {
        return Ok(());
    }
    if !may_grow {
        return Err(topics::miscounted(&shared.state_topic, state, input));
    }
    topics::grow(&Admin::new(&shared.settings)?, &shared.state_topic, state, input).await
}

/// Where a group goes on in a partition.
#[derive(Debug, Clone, Copy)]
pub(super) struct Position {
    pub(super) offset: u64,
    pub(super) is_committed: bool,
}

impl Position {
    /// Where the group stands in `partition`, or else where it is to begin.
    pub(super) fn ask(shared: &Shared, consumer: &BaseConsumer<Context>, partition: u32) -> Result<Self, KafkaError> {
        let (topic, asked) = (&*shared.topic, [partition]);
        let failed = |source| shared.failed("ask for offsets", source);
        let committed = query::committed(consumer, topic, &asked).map_err(failed)?;
        if let Some(&offset) = committed.get(&partition) {
            return Ok(Self { offset, is_committed: true });
        }
        let end = |place| query::bounds(consumer, topic, &asked, place).map_err(failed);
        let starts = match shared.start {
            StartAt::Earliest => end(Offset::Beginning)?,
            StartAt::Latest => end(Offset::End)?,
            StartAt::Time(time) => {
                let time = u64::try_from(time.as_millisecond()).unwrap_or_default();
                let mut starts = end(Offset::End)?;
                starts.extend(query::not_older(consumer, topic, &asked, time).map_err(failed)?);
                starts
            }
        };
        let offset = starts.get(&partition).copied().ok_or(KafkaError::Closed)?;
        let (group, start) = (&shared.group, shared.start);
        tracing::info!(%group, topic, partition, ?start, offset, "the group has no position yet: beginning");
        Ok(Self { offset, is_committed: false })
    }
}

/// The latest value of each key of the state of each partition.
fn states(
    shared: &Shared,
    consumer: &BaseConsumer<Context>,
    partitions: &[u32],
) -> Result<HashMap<u32, Vec<StateRecord>>, KafkaError> {
    // Asked for first, for librdkafka itself would ask again after half a second where it does not know the leader yet.
    let begins = query::bounds(consumer, &shared.state_topic, partitions, Offset::Beginning)
        .map_err(|source| shared.failed("ask where the state begins", source))?;
    let from: Vec<(u32, Offset)> = begins.into_iter().map(|(partition, begin)| (partition, query::at(begin))).collect();
    let mut values: HashMap<u32, HashMap<Bytes, Bytes>> = HashMap::new();
    reading::to_the_end(consumer, &shared.settings.brokers, &shared.state_topic, &from, |partition, message| {
        let of_partition = values.entry(partition).or_default();
        let key = message.key().unwrap_or_default();
        match message.payload() {
            Some(value) => {
                of_partition.insert(Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
            }
            None => {
                of_partition.remove(key);
            }
        }
    })?;
    let record = |(key, value)| StateRecord { key, value: Some(value) };
    Ok(values.into_iter().map(|(partition, values)| (partition, values.into_iter().map(record).collect())).collect())
}
