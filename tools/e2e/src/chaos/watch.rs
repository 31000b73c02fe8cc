//! When the committed offset of each partition moved, by the brokers' own log of commits.
//!
//! The times in it are those at which a broker wrote a commit down, in milliseconds: whoever looks on does not see them the less
//! exactly for being late, and need not ask all the time, which would keep the brokers from their work.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use pulse_core::RecordBatch;
use pulse_core::ports::TopicReader as _;
use pulse_kafka::{KafkaReader, KafkaSettings};
use tokio::task::JoinHandle;

use super::offset_commit::{OffsetCommit, TOPIC};

const AT_ONCE: usize = 4096;
/// Pause after an error.
const AGAIN_AFTER: Duration = Duration::from_millis(100);
/// What a processor had under way when it was killed is done by then, by the brokers.
const UNDER_WAY: SignedDuration = SignedDuration::from_millis(200);

/// When each partition moved, in that order.
type Moves = BTreeMap<u32, Vec<Move>>;

/// The committed offset got higher.
#[derive(Debug, Clone, Copy)]
struct Move {
    at: Timestamp,
    offset: u64,
}

/// A partition stood still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pause {
    pub(super) partition: u32,
    pub(super) length: SignedDuration,
    /// When it went on.
    pub(super) end: Timestamp,
}

/// Follows what a group commits of a topic.
#[derive(Debug)]
pub(super) struct Watch {
    moves: Arc<Mutex<Moves>>,
    task: JoinHandle<()>,
}

impl Watch {
    /// Begins to follow, from the first commit on that the brokers still have.
    pub(super) fn new(settings: &KafkaSettings, group: &str, topic: &str) -> anyhow::Result<Self> {
        let mut reader = KafkaReader::new(settings, TOPIC)?.patient();
        let moves: Arc<Mutex<Moves>> = Arc::default();
        let (seen, group, topic) = (Arc::clone(&moves), group.to_owned(), topic.to_owned());
        let task = tokio::spawn(async move {
            loop {
                match reader.read(AT_ONCE).await {
                    Ok(Some(batch)) => note(&mut lock(&seen), &batch, &group, &topic),
                    Ok(None) => {}
                    // As long as nothing comes, nothing is said to have moved.
                    Err(_) => tokio::time::sleep(AGAIN_AFTER).await,
                }
            }
        });
        Ok(Self { moves, task })
    }

    /// How many partitions have moved since `from`.
    pub(super) fn moved_since(&self, from: Timestamp) -> usize {
        lock(&self.moves).values().filter(|moves| moves.last().is_some_and(|last| last.at > from)).count()
    }

    /// The longest time between two moves of any of `partitions`, as far as it lies behind `from`. None as long as one of them
    /// has not moved since `until`.
    pub(super) fn longest_pause(&self, partitions: &[u32], from: Timestamp, until: Timestamp) -> Option<Pause> {
        let moves = lock(&self.moves);
        let pauses = partitions.iter().map(|&partition| pause(partition, moves.get(&partition)?, from, until));
        pauses.collect::<Option<Vec<_>>>()?.into_iter().max_by_key(|pause| pause.length)
    }

    /// When each of `partitions` moved the first time after the death of its processor at `death`; none as long as one has not.
    /// What the dead one had committed is not taken for a move.
    pub(super) fn first_moves(&self, partitions: &[u32], death: Timestamp) -> anyhow::Result<Option<Vec<Timestamp>>> {
        let settled = death.checked_add(UNDER_WAY).context("no time")?;
        let moves = lock(&self.moves);
        let first = |partition| moves.get(partition)?.iter().map(|found| found.at).find(|at| *at > settled);
        Ok(partitions.iter().map(first).collect())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn note(moves: &mut Moves, batch: &RecordBatch, group: &str, topic: &str) {
    for record in &batch.records {
        let Some(commit) = OffsetCommit::parse(record).filter(|commit| (commit.group, commit.topic) == (group, topic))
        else {
            continue;
        };
        let Ok(at) = Timestamp::from_millisecond(record.timestamp) else { continue };
        let of_partition = moves.entry(commit.partition).or_default();
        if of_partition.last().is_none_or(|before| before.offset < commit.offset) {
            of_partition.push(Move { at, offset: commit.offset });
        }
    }
}

/// The longest time between two moves of which the later one lies behind `from`, up to the first one behind `until`.
fn pause(partition: u32, moves: &[Move], from: Timestamp, until: Timestamp) -> Option<Pause> {
    let end = moves.iter().position(|found| found.at > until)?;
    let pairs = moves[..=end].windows(2).filter(|pair| pair[1].at > from);
    let pauses = pairs.map(|pair| Pause { partition, length: pair[1].at.duration_since(pair[0].at), end: pair[1].at });
    pauses.max_by_key(|pause| pause.length)
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use pulse_core::{Headers, Record};

    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).unwrap()
    }

    #[test]
    fn a_pause_lies_between_two_moves() {
        let moves = [(0, 1), (500, 2), (510, 3), (900, 4), (2900, 5)].map(|(ms, offset)| Move { at: at(ms), offset });
        let longest = |from, until| pause(0, &moves, at(from), at(until)).map(|pause| pause.length.as_millis());
        assert_eq!(longest(505, 890), Some(390), "what ended before does not count");
        assert_eq!(longest(400, 890), Some(500), "what ended within does");
        assert_eq!(longest(505, 1000), Some(2000), "what was under way at the end counts in full");
        assert_eq!(longest(505, 2900), None, "it has not moved since");
    }

    #[test]
    fn only_a_higher_offset_of_this_group_and_topic_is_a_move() {
        let record = |group: u8, offset: u8, timestamp| Record {
            offset: 0,
            timestamp,
            key: Some(Bytes::from(vec![0, 1, 0, 1, group, 0, 1, b't', 0, 0, 0, 7])),
            payload: Bytes::from(vec![0, 3, 0, 0, 0, 0, 0, 0, 0, offset]),
            headers: Headers::default(),
        };
        let records = vec![record(b'g', 3, 10), record(b'g', 3, 20), record(b'x', 9, 30), record(b'g', 4, 40)];
        let batch = RecordBatch { topic: TOPIC.into(), partition: 0, next_offset: 4, high_watermark: 4, records };
        let mut moves = Moves::new();
        note(&mut moves, &batch, "g", "t");
        note(&mut moves, &batch, "g", "other");
        let found: Vec<_> = moves[&7].iter().map(|found| (found.at.as_millisecond(), found.offset)).collect();
        assert_eq!((found, moves.len()), (vec![(10, 3), (40, 4)], 1));
    }
}
