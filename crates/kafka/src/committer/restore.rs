//! Taking partitions over: fence, read the committed offsets, read the state.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use pulse_core::ports::{Restored, StateRecord};
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerGroupMetadata};
use rdkafka::{Message as _, Offset};
use tokio::task::{JoinSet, spawn_blocking};

use crate::admin::Admin;
use crate::context::Context;
use crate::error::KafkaError;
use crate::{query, reading, topics};

use super::partition::Holder;
use super::{Shared, StartAt};

/// Takes over `partitions`; one answer for each, in their order.
pub(super) async fn restore(
    shared: &Arc<Shared>,
    partitions: &[u32],
    may_grow: bool,
) -> Result<Vec<Result<(Holder, Restored), KafkaError>>, KafkaError> {
    if partitions.is_empty() {
        return Ok(Vec::new());
    }
    check(shared, partitions, may_grow).await?;
    let speaker = shared.speaker()?;
    let group = Arc::new(speaker.group_metadata().ok_or(KafkaError::Closed)?);
    let mut holders = take_over(shared, &group, partitions).await;
    let taken: Vec<u32> = partitions.iter().copied().filter(|p| matches!(holders.get(p), Some(Ok(_)))).collect();
    let asked = Arc::clone(shared);
    let (positions, mut states) = spawn_blocking(move || {
        let positions = positions(&asked, &speaker, &taken)?;
        Ok::<_, KafkaError>((positions, states(&asked, &speaker, &taken)?))
    })
    .await
    .map_err(|_| KafkaError::Closed)??;
    let mut restored = Vec::with_capacity(partitions.len());
    for partition in partitions {
        let holder = holders.remove(partition).unwrap_or(Err(KafkaError::Closed));
        restored.push(holder.and_then(|holder| {
            let position = positions.get(partition).ok_or(KafkaError::Closed)?;
            holder.stand_at(position.offset)?;
            let committed = position.is_committed.then_some(position.offset);
            let state = states.remove(partition).unwrap_or_default();
            Ok((holder, Restored { committed, start: position.offset, state }))
        }));
    }
    Ok(restored)
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

/// All at once, for each takes some round trips.
async fn take_over(
    shared: &Arc<Shared>,
    group: &Arc<ConsumerGroupMetadata>,
    partitions: &[u32],
) -> HashMap<u32, Result<Holder, KafkaError>> {
    let mut taking = JoinSet::new();
    for &partition in partitions {
        let (shared, group) = (Arc::clone(shared), Arc::clone(group));
        taking.spawn(async move { (partition, Holder::take_over(shared, group, partition).await) });
    }
    taking.join_all().await.into_iter().collect()
}

/// Where a group goes on in a partition.
#[derive(Debug, Clone, Copy)]
struct Position {
    offset: u64,
    is_committed: bool,
}

fn positions(
    shared: &Shared,
    consumer: &BaseConsumer<Context>,
    partitions: &[u32],
) -> Result<BTreeMap<u32, Position>, KafkaError> {
    let topic = &*shared.topic;
    let failed = |source| shared.failed("ask for offsets", source);
    let committed = query::committed(consumer, topic, partitions).map_err(failed)?;
    let of = |is_committed| move |(&partition, &offset): (&u32, &u64)| (partition, Position { offset, is_committed });
    let mut positions: BTreeMap<u32, Position> = committed.iter().map(of(true)).collect();
    let new: Vec<u32> = partitions.iter().copied().filter(|partition| !committed.contains_key(partition)).collect();
    if !new.is_empty() {
        let end = |place| query::bounds(consumer, topic, &new, place).map_err(failed);
        let starts = match shared.start {
            StartAt::Earliest => end(Offset::Beginning)?,
            StartAt::Latest => end(Offset::End)?,
            StartAt::Time(time) => {
                let time = u64::try_from(time.as_millisecond()).unwrap_or_default();
                let mut starts = end(Offset::End)?;
                starts.extend(query::not_older(consumer, topic, &new, time).map_err(failed)?);
                starts
            }
        };
        tracing::info!(group = %shared.group, topic, start = ?shared.start, ?starts, "the group has no position yet: beginning");
        positions.extend(starts.iter().map(of(false)));
    }
    Ok(positions)
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
