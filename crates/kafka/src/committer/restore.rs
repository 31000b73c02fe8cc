//! Taking partitions over: read the state, fence, read the committed offsets.
//!
//! The state comes first, because it may be large, and whoever holds the partition works on until it is fenced. What they
//! committed to it in between is read after that.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use pulse_core::ports::{Restored, StateRecord};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{Message as _, Offset};
use tokio::task::{JoinSet, spawn_blocking};

use crate::admin::Admin;
use crate::context::Context;
use crate::error::KafkaError;
use crate::{query, reading, topics};

use super::partition::{Candidate, Holder};
use super::{Shared, StartAt};

/// How often an end that lies before the one that was asked for is not believed. A new leader may tell one for a moment that others
/// were past; and what compaction took away at the end is not read by anybody.
const DOUBTS: u32 = 3;
/// How long a take-over waits for what is to be known of the topics that commits write to.
const KNOWING: Duration = Duration::from_secs(2);
/// An open transaction of a holder that died keeps an answer away, which is not needed.
const WARMING_UP: Duration = Duration::from_millis(100);

/// Takes over `partitions`, as long as their `stops` are not set, and tells `each` of them what became of it as soon as it is
/// known. After an error nothing became of the others.
pub(super) async fn restore(
    shared: &Arc<Shared>,
    partitions: &[u32],
    may_grow: bool,
    mut stops: HashMap<u32, Arc<AtomicBool>>,
    mut each: impl FnMut(u32, Result<(Holder, Restored), KafkaError>),
) -> Result<(), KafkaError> {
    if partitions.is_empty() {
        return Ok(());
    }
    let (checked, ()) = tokio::join!(check(shared, partitions, may_grow), know_outputs(shared));
    checked?;
    let speaker = shared.speaker()?;
    let group = Arc::new(speaker.group_metadata().ok_or(KafkaError::Closed)?);
    let (asked, asking, wanted) = (Arc::clone(shared), speaker.clone(), partitions.to_vec());
    let speaker = Arc::new(Mutex::new(speaker));
    let candidate = |&partition: &u32| {
        let stop = stops.remove(&partition).unwrap_or_default();
        (partition, Candidate::new(Arc::clone(shared), Arc::clone(&group), Arc::clone(&speaker), stop, partition))
    };
    // Their producers are being made while the state is read.
    let candidates: Vec<_> = partitions.iter().map(candidate).collect();
    let states = spawn_blocking(move || prepare(&asked, &asking, &wanted)).await.map_err(|_| KafkaError::Closed)?;
    let mut states = states?;
    // All at once, for each takes some round trips.
    let mut taking = JoinSet::new();
    for (partition, candidate) in candidates {
        let state = states.remove(&partition).unwrap_or_default();
        taking.spawn(async move {
            match candidate {
                Ok(candidate) => (partition, candidate.take_over(state).await),
                Err(error) => (partition, Err(error)),
            }
        });
    }
    while let Some(taken) = taking.join_next().await {
        let (partition, result) = taken.map_err(|_| KafkaError::Closed)?;
        each(partition, result);
    }
    Ok(())
}

/// Sees to it that the topics that commits write to are known before anybody is fenced: the first commit would ask else. Where no
/// answer comes, it does.
async fn know_outputs(shared: &Shared) {
    let ask = async {
        for output in &shared.outputs {
            drop(shared.catalog.topic(output).await);
        }
    };
    drop(tokio::time::timeout(KNOWING, ask).await);
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
        let end = |place| query::settled_bounds(consumer, topic, &asked, place).map_err(failed);
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

/// Does what can be done before anybody is fenced: nobody works on a partition from then until all else is done.
fn prepare(
    shared: &Shared,
    consumer: &BaseConsumer<Context>,
    partitions: &[u32],
) -> Result<HashMap<u32, State>, KafkaError> {
    let states = State::read(shared, consumer, partitions)?;
    // Whatever the answer is: the coordinator of the group is known and connected from now on.
    let asked = query::list(&shared.topic, partitions.iter().map(|&partition| (partition, Offset::Invalid)));
    drop(asked.and_then(|asked| consumer.committed_offsets(asked, WARMING_UP)));
    Ok(states)
}

/// The state of a partition: the latest value of each key.
#[derive(Debug, Default)]
pub(super) struct State {
    values: HashMap<Bytes, Bytes>,
    /// All before it was read.
    next: u64,
}

impl State {
    /// Reads the state of each of `partitions`.
    fn read(
        shared: &Shared,
        consumer: &BaseConsumer<Context>,
        partitions: &[u32],
    ) -> Result<HashMap<u32, Self>, KafkaError> {
        // Asked for first, for librdkafka itself would ask again after half a second where it does not know the leader yet.
        let begins = bounds(shared, consumer, partitions, Offset::Beginning)?;
        let mut states =
            begins.into_iter().map(|(partition, next)| (partition, Self { next, ..Self::default() })).collect();
        Self::read_on(shared, consumer, &mut states)?;
        Ok(states)
    }

    /// Reads what has come since; nobody else may write it any more.
    pub(super) fn complete(
        self,
        shared: &Shared,
        consumer: &BaseConsumer<Context>,
        partition: u32,
    ) -> Result<Vec<StateRecord>, KafkaError> {
        let mut states = HashMap::from([(partition, self)]);
        for attempt in 0..=DOUBTS {
            let end = bounds(shared, consumer, &[partition], Offset::End)?.remove(&partition).unwrap_or_default();
            let next = states.get(&partition).map_or(end, |state| state.next);
            if end <= next {
                break;
            }
            if attempt > 0 {
                tracing::debug!(topic = %shared.state_topic, partition, next, end, "the state seems to end early: looking again");
                std::thread::sleep(query::MOMENT);
            }
            Self::read_on(shared, consumer, &mut states)?;
        }
        let values = states.into_values().flat_map(|state| state.values);
        Ok(values.map(|(key, value)| StateRecord { key, value: Some(value) }).collect())
    }

    /// Reads all of `states` on, to their ends.
    fn read_on(
        shared: &Shared,
        consumer: &BaseConsumer<Context>,
        states: &mut HashMap<u32, Self>,
    ) -> Result<(), KafkaError> {
        let from: Vec<(u32, Offset)> =
            states.iter().map(|(&partition, state)| (partition, query::at(state.next))).collect();
        let (brokers, topic) = (&shared.settings.brokers, &shared.state_topic);
        let reached = reading::to_the_end(consumer, brokers, topic, &from, |partition, message| {
            let Some(state) = states.get_mut(&partition) else { return };
            state.next = u64::try_from(message.offset()).unwrap_or_default() + 1;
            let key = message.key().unwrap_or_default();
            match message.payload() {
                Some(value) => {
                    state.values.insert(Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
                }
                None => {
                    state.values.remove(key);
                }
            }
        })?;
        for (partition, position) in reached {
            if let Some(state) = states.get_mut(&partition) {
                state.next = state.next.max(position);
            }
        }
        Ok(())
    }
}

fn bounds(
    shared: &Shared,
    consumer: &BaseConsumer<Context>,
    partitions: &[u32],
    place: Offset,
) -> Result<BTreeMap<u32, u64>, KafkaError> {
    query::settled_bounds(consumer, &shared.state_topic, partitions, place)
        .map_err(|source| shared.failed("ask where the state begins and ends", source))
}
