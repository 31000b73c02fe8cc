//! The traits behind which logs, stores and scorers stand.
//!
//! Every backend passes the same contract suites (`pulse-testkit`), so that a service does not know which one it has.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;

use crate::anomaly::{Anomaly, AnomalyId, Severity};
use crate::error::Classify;
use crate::matrix::Matrix;
use crate::record::{NewRecord, Record, RecordBatch, TimestampMs};

/// What every port's error can do.
pub trait PortError: std::error::Error + Classify + Send + Sync + 'static {}
impl<E: std::error::Error + Classify + Send + Sync + 'static> PortError for E {}

/// Writes events into a log.
pub trait EventProducer: Send + 'static {
    /// Why a call failed.
    type Error: PortError;

    /// Appends `records`, those of each partition in order.
    ///
    /// What can never be appended, such as a record for a topic that does not exist, is refused before anything is written.
    /// After any other failure, and after the death of the process, a first part of each partition's records may be in the log.
    fn append(&mut self, records: Vec<NewRecord>) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Number of partitions of `topic`.
    fn partitions(&mut self, topic: &str) -> impl Future<Output = Result<u32, Self::Error>> + Send;

    /// The last record of every partition of `topic` that has one.
    fn last_records(&mut self, topic: &str) -> impl Future<Output = Result<Vec<Record>, Self::Error>> + Send;
}

/// What [`EventSource::poll`] has found.
#[derive(Debug)]
pub enum Polled {
    /// These partitions are ours from now on, besides those that were. Reading starts where [`EventSource::seek`] says, else
    /// at their beginning. The list may be empty: the group has no partition to spare.
    Assigned(Vec<u32>),
    /// The group gives these partitions to somebody else. Records of them may go on coming until they are paused: who is
    /// fenced by whoever takes over may work on until then; who is not must commit nothing of them any more.
    Revoked(Vec<u32>),
    /// The next records of one partition; `records` may be empty where the log has holes.
    Records(RecordBatch),
    /// Nothing new came within a short while.
    Idle,
}

/// Reads the partitions of one topic that are assigned to this member of a consumer group.
pub trait EventSource: Send + 'static {
    /// Why a call failed.
    type Error: PortError;

    /// Waits, for a short while, for the next thing that happens. Cancel safe: nothing is lost when dropped.
    fn poll(&mut self, max_records: usize) -> impl Future<Output = Result<Polled, Self::Error>> + Send;

    /// Goes on reading `partition` at `offset`. What was there and is no more, counts as lost.
    fn seek(&mut self, partition: u32, offset: u64) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Goes on reading `partition` at the first record that there is.
    fn seek_to_beginning(&mut self, partition: u32) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Reads nothing of `partitions` until it is said by a seek from where. Those that were revoked are let go of.
    fn pause(&mut self, partitions: &[u32]);

    /// Gives up all partitions, as if the group had revoked them, and wants none any more. The answer is whether anybody else
    /// is there to take them, as far as is known: asked again, it is asked anew.
    fn leave(&mut self) -> impl Future<Output = bool> + Send;
}

/// What a topic held when reading began, and how much of that was read. Offsets are counted: holes count as records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    /// All of it.
    pub total: u64,
    /// What of it was handed out, or passed because there is no record, or none any more.
    pub read: u64,
}

impl Backlog {
    /// Whether all of it was read.
    #[must_use]
    pub fn is_read(&self) -> bool {
        self.read >= self.total
    }
}

/// Reads all partitions of a topic from their first records on, outside of any group: it commits nothing, holds up nobody,
/// and nobody notices.
///
/// Partitions take turns. What was there when reading began comes before anything that was appended later, in whichever
/// partitions; partitions that a topic gets later are not read.
pub trait TopicReader: Send + 'static {
    /// Why a call failed.
    type Error: PortError;

    /// The next records of one partition, at most `max_records` and never none of them; `None` where nothing came within a
    /// short while. Reading begins with the first call. Cancel safe: nothing is lost when dropped. After an error that may
    /// pass, it goes on where it stood.
    ///
    /// That there is no such topic is an error, or waited for, as the reader was made.
    fn read(&mut self, max_records: usize) -> impl Future<Output = Result<Option<RecordBatch>, Self::Error>> + Send;

    /// How much was there when reading began, and how much of it was read; none before. What [`read`](Self::read) has handed
    /// out when it says that all was read, is what was there, and nothing else.
    fn backlog(&self) -> Option<Backlog>;
}

/// An entry of a compacted state topic: the latest value of a key, or a tombstone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateRecord {
    /// The key.
    pub key: Bytes,
    /// The value; none removes the key.
    pub value: Option<Bytes>,
}

impl StateRecord {
    /// Bytes that it takes, as far as they depend on what is in it.
    #[must_use]
    pub fn encoded_bytes(&self) -> usize {
        self.key.len() + self.value.as_ref().map_or(0, Bytes::len)
    }
}

/// What stands for one partition: where its group goes on, and its state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restored {
    /// The committed offset: the first that was not processed yet. None where the group has not begun.
    pub committed: Option<u64>,
    /// Where a group that has not begun is to begin.
    pub start: u64,
    /// The latest value of every key of the state.
    pub state: Vec<StateRecord>,
}

/// Results of one partition that must become visible together.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    /// The partition of the input topic.
    pub partition: u32,
    /// The first offset that was not processed yet.
    pub next_offset: u64,
    /// Anomalies and dead letters.
    pub outputs: Vec<NewRecord>,
    /// Changed state.
    pub state: Vec<StateRecord>,
}

/// Commits outputs, state and position of a partition for a consumer group, in one transaction.
///
/// Partitions may be taken over and commit beside each other. Of one partition there is one commit at a time.
pub trait Committer: Send + Sync + 'static {
    /// Whether several partitions cost less in one commit than each by itself. Then they wait for each other.
    const TOGETHER: bool;

    /// Why a call failed.
    type Error: PortError;

    /// Takes over `partitions`: whoever held them before can commit nothing of them any more. `each` is told once of each,
    /// as soon as it is known what became of it. Dropped, it may have taken over some of them.
    fn restore(
        &self,
        partitions: &[u32],
        each: impl FnMut(u32, Result<Restored, Self::Error>) + Send,
    ) -> impl Future<Output = ()> + Send;

    /// Makes each of `commits` visible, all of it or nothing, with at most one for each partition. The answer has one
    /// result for each, in their order: a partition that is lost does not hold up the others.
    fn commit(&self, commits: &[Commit]) -> impl Future<Output = Vec<Result<(), Self::Error>>> + Send;

    /// Somebody else may take `partitions` over from now on. A commit of them that fails is not made good by taking them
    /// over anew: it is answered as if somebody had.
    fn hand_over(&self, partitions: &[u32]);

    /// Lets go of `partitions`, and of what was held for them.
    fn release(&self, partitions: &[u32]);

    /// Where the input's `partitions` end now, as far as that is known: how much waits grows also while nothing can be committed.
    fn ends(&self, partitions: &[u32]) -> impl Future<Output = BTreeMap<u32, u64>> + Send {
        let _ = partitions;
        async { BTreeMap::new() }
    }
}

/// Scores of a batch of rows by one model.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scores {
    /// The model that scored them.
    pub model_version: Arc<str>,
    /// The score from which a row is an anomaly.
    pub threshold: f64,
    /// The highest score of the rows that the model was trained on: how severe a score is, is measured on the way there.
    pub highest: f64,
    /// One score for each row, in `(0, 1]`; higher is more anomalous.
    pub scores: Vec<f64>,
    /// For rows whose score reached the threshold, in rising order: the row's index and the share of each column.
    pub contributions: Vec<(usize, Vec<f64>)>,
}

/// Scores rows with a model.
pub trait Scorer: Send + Sync + 'static {
    /// Why a call failed.
    type Error: PortError;

    /// The columns that the model wants, in its order.
    fn columns(&self) -> &[String];

    /// Scores `rows`, whose columns are those of [`columns`](Self::columns).
    fn score(&self, rows: &Matrix) -> impl Future<Output = Result<Scores, Self::Error>> + Send;
}

/// Half-open range of offsets of one partition. Offsets may have holes, so it may span more than its records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetSpan {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: u32,
    /// The first offset.
    pub from: u64,
    /// One more than the last offset.
    pub to: u64,
}

/// What became of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// It is stored now.
    Stored,
    /// It was stored before; nothing changed.
    AlreadyStored,
}

/// Durable home of anomalies.
pub trait AnomalyStore: Send + 'static {
    /// Why a call failed.
    type Error: PortError;

    /// The next offset wanted of each partition of `topic` from which something was stored.
    fn positions(&mut self, topic: &str) -> impl Future<Output = Result<Vec<(u32, u64)>, Self::Error>> + Send;

    /// Stores the rows of a span and its end, in one transaction. A span stored already is acknowledged; one that leaves
    /// a gap, or overlaps in part, is an error.
    fn store(
        &mut self,
        rows: &[Anomaly],
        span: &OffsetSpan,
    ) -> impl Future<Output = Result<Applied, Self::Error>> + Send;
}

/// Which anomalies are wanted. An empty filter means all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnomalyFilter {
    /// Only this use case.
    pub use_case: Option<String>,
    /// Only this entity.
    pub entity: Option<String>,
    /// Only those for which this detector fired.
    pub detector: Option<String>,
    /// Only those at least as bad.
    pub severity: Option<Severity>,
    /// Only event times from here on.
    pub from: Option<Timestamp>,
    /// Only event times before this.
    pub to: Option<Timestamp>,
}

/// A stored anomaly and its place in the order of arrival.
#[derive(Debug, Clone)]
pub struct StoredAnomaly {
    /// Rises with every anomaly stored; where a live view goes on.
    pub sequence: u64,
    /// The anomaly.
    pub anomaly: Anomaly,
}

/// Anomalies of one interval of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// Start of the interval.
    pub start: TimestampMs,
    /// Number of anomalies in it.
    pub count: u64,
    /// Mean of their scores.
    pub mean_score: f64,
    /// Highest score.
    pub max_score: f64,
}

/// What anomalies can be counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupBy {
    /// The entity.
    Entity,
    /// Each detector that fired: an anomaly counts once for each.
    Detector,
    /// The severity.
    Severity,
    /// The use case.
    UseCase,
}

/// Reads what an [`AnomalyStore`] holds.
pub trait AnomalyQuery: Clone + Send + Sync + 'static {
    /// Why a call failed.
    type Error: PortError;

    /// The latest anomalies by event time, newest first, at most `limit`.
    fn latest(
        &self,
        filter: &AnomalyFilter,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<StoredAnomaly>, Self::Error>> + Send;

    /// One anomaly.
    fn get(&self, id: &AnomalyId) -> impl Future<Output = Result<Option<StoredAnomaly>, Self::Error>> + Send;

    /// What arrived after `sequence`, oldest first, at most `limit`.
    fn since(&self, sequence: u64, limit: u32) -> impl Future<Output = Result<Vec<StoredAnomaly>, Self::Error>> + Send;

    /// The sequence of the anomaly stored last; 0 where there is none.
    fn last_sequence(&self) -> impl Future<Output = Result<u64, Self::Error>> + Send;

    /// Anomalies per interval of `bucket_ms`, oldest first; intervals without any are left out.
    fn series(
        &self,
        filter: &AnomalyFilter,
        bucket_ms: u64,
    ) -> impl Future<Output = Result<Vec<Bucket>, Self::Error>> + Send;

    /// The groups with the most anomalies, largest first, at most `limit`.
    fn top(
        &self,
        by: GroupBy,
        filter: &AnomalyFilter,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<(String, u64)>, Self::Error>> + Send;
}

/// Tells the time. Only its adapter in `pulse-runtime` asks the operating system.
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;
}
