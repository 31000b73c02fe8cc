//! A worker: an operating-system thread that owns the pipelines of its partitions.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use pulse_core::ports::{Clock, Scorer, Scores, StateRecord};
use pulse_core::{Record, RecordBatch};
use pulse_pipeline::{Outcome, PartitionPipeline, Prepared};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::commit::{Assignment, Done, ToCommitter};
use crate::metrics::{Metrics, Replaying, Stage};
use crate::retry::{Next, Retry};
use crate::run::ProcessorError;
use crate::trouble::Trouble;

/// What a worker is told.
pub(crate) enum ToWorker {
    /// A partition is ours. Events before `judge_from` were judged before this run, unless the group only begins there.
    Assign { assignment: Assignment, pipeline: Box<PartitionPipeline>, judge_from: u64, begins: bool },
    /// It no longer is.
    Revoke { partition: u32 },
    /// Commit its position, and what has changed of its state where that is asked for, even if nothing has.
    Save { partition: u32, with_state: bool },
    /// Records of a partition of ours.
    Batch(RecordBatch),
}

pub(crate) struct Owned {
    assignment: Assignment,
    pipeline: Box<PartitionPipeline>,
    judge_from: u64,
    snapshot_at: Instant,
    /// Records seen since the last snapshot, and their bytes.
    unsaved: u64,
    unsaved_bytes: usize,
    /// Its entities, as the gauge knows them.
    entities: i64,
    /// Entities forgotten, as the counter knows them.
    forgotten: u64,
    /// When the log said so last.
    told_at: Option<Instant>,
    /// As long as events are read again to rebuild the state.
    replaying: Option<Replaying>,
}

/// When a partition's state is snapshotted: after some time or records, whichever comes first, but not before the events since
/// the last snapshot have more bytes than the next one. Until then it is cheaper to read them again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SnapshotPolicy {
    pub(crate) every: Duration,
    pub(crate) records: u64,
    /// After this time in any case.
    pub(crate) at_latest: Duration,
}

/// How often it is said that entities are forgotten.
const REMIND: Duration = Duration::from_secs(60);
/// A snapshot of so many bytes costs nothing worth mentioning.
const SMALL: usize = 1 << 20;

/// A worker's partitions and what it works with.
pub(crate) struct Worker<S> {
    pub(crate) scorer: Option<Arc<S>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Metrics,
    pub(crate) snapshots: SnapshotPolicy,
    pub(crate) done: mpsc::Sender<ToCommitter>,
    pub(crate) runtime: Handle,
    pub(crate) trouble: Trouble,
    pub(crate) owned: HashMap<u32, Owned>,
}

impl<S: Scorer> Worker<S> {
    /// Works until the channel is closed and empty, then saves the state of all partitions.
    pub(crate) fn run(mut self, mut inbox: mpsc::Receiver<ToWorker>) -> Result<(), ProcessorError> {
        let mut saved_at = Instant::now();
        loop {
            // Without a message for a while, a partition that fell silent still gets its snapshot.
            let received = self.runtime.block_on(tokio::time::timeout(self.snapshots.every, inbox.recv()));
            let open = match received {
                Err(_) => true,
                Ok(None) => break,
                Ok(Some(message)) => self.handle(message)?,
            };
            if !open {
                return Ok(());
            }
            if saved_at.elapsed() >= self.snapshots.every {
                saved_at = Instant::now();
                let snapshots = self.snapshots;
                self.save(|owned| owned.is_due(&snapshots));
            }
        }
        self.save(Owned::is_cheap);
        Ok(())
    }

    /// Does what it is told; false when nobody takes the results any more.
    fn handle(&mut self, message: ToWorker) -> Result<bool, ProcessorError> {
        match message {
            ToWorker::Assign { assignment, pipeline, judge_from, begins } => {
                let snapshot_at = Instant::now();
                let mut owned = Owned {
                    assignment,
                    pipeline,
                    judge_from,
                    snapshot_at,
                    unsaved: 0,
                    unsaved_bytes: 0,
                    entities: 0,
                    forgotten: 0,
                    told_at: None,
                    replaying: None,
                };
                owned.replaying = owned.is_replaying().then(|| self.metrics.replaying());
                owned.count_entities(&self.metrics);
                // That it knows nothing from before must be known after a restart, too.
                let beginning = begins.then(|| owned.unjudged(judge_from));
                if let Some(before) = self.owned.insert(assignment.partition, owned) {
                    self.metrics.entities.sub(before.entities);
                }
                Ok(beginning.is_none_or(|beginning| self.send(beginning)))
            }
            ToWorker::Revoke { partition } => {
                if let Some(owned) = self.owned.remove(&partition) {
                    self.metrics.entities.sub(owned.entities);
                }
                Ok(true)
            }
            ToWorker::Save { partition, with_state } => {
                let saved = self.owned.get_mut(&partition).map(|owned| owned.save(with_state));
                Ok(saved.is_none_or(|saved| self.send(saved)))
            }
            ToWorker::Batch(batch) => self.work(batch),
        }
    }

    /// Judges one batch; false when nobody takes the result any more.
    fn work(&mut self, batch: RecordBatch) -> Result<bool, ProcessorError> {
        let (partition, lag) = (batch.partition, Some(batch.lag()));
        let Some(owned) = self.owned.get_mut(&partition) else { return Ok(true) };
        let assignment = owned.assignment;
        let known = owned.pipeline.position();
        let rest = owned.replay(batch, &self.metrics);
        if owned.pipeline.position() != known && !self.replayed(partition, lag.unwrap_or_default()) {
            return Ok(false);
        }
        let Some(batch) = rest else { return Ok(true) };
        let Some(owned) = self.owned.get_mut(&partition) else { return Ok(true) };
        owned.count_unsaved(&batch.records);
        let timer = self.metrics.time(Stage::Prepare);
        let prepared = owned.pipeline.prepare(batch);
        timer.observe_duration();
        owned.count_entities(&self.metrics);
        let Some(scores) = self.score(&prepared)? else { return Ok(false) };
        let timer = self.metrics.time(Stage::Judge);
        let next_offset = prepared.next_offset();
        let Some(owned) = self.owned.get_mut(&partition) else { return Ok(true) };
        let switch = owned.pipeline.note_versions(&prepared, &scores);
        let outcome = owned.pipeline.judge(prepared, &scores, self.clock.now());
        timer.observe_duration();
        owned.count_forgotten(&self.metrics);
        let mut state = if owned.is_due(&self.snapshots) { owned.snapshot() } else { Vec::new() };
        state.extend(switch);
        Ok(self.send(ToCommitter::Done(Box::new(Done { assignment, next_offset, lag, outcome, state }))))
    }

    /// Tells how far a replay is, and saves the state now and then: the next start goes on there. False when nobody takes it.
    fn replayed(&mut self, partition: u32, lag: u64) -> bool {
        let snapshots = self.snapshots;
        let Some(owned) = self.owned.get_mut(&partition) else { return true };
        let is_due = owned.is_due(&snapshots);
        // What the state knows must not be judged again, which is so up to the committed offset.
        let judge_from = owned.judge_from;
        let saved = (is_due && owned.pipeline.position() <= judge_from).then(|| owned.unjudged(judge_from));
        let told = ToCommitter::Replayed(owned.assignment, lag);
        saved.is_none_or(|saved| self.send(saved)) && self.send(told)
    }

    /// False when nobody takes it any more.
    fn send(&self, told: ToCommitter) -> bool {
        self.done.blocking_send(told).is_ok()
    }

    /// Scores the rows, however long that takes; none when told to give up.
    fn score(&self, prepared: &Prepared) -> Result<Option<Scores>, ProcessorError> {
        let Some(scorer) = self.scorer.as_ref().filter(|_| !prepared.rows().is_empty()) else {
            return Ok(Some(Scores::default()));
        };
        let _timer = self.metrics.time(Stage::Score);
        let mut retry = Retry::new("score", &self.metrics, &self.trouble);
        self.runtime.block_on(async {
            loop {
                let error = match self.trouble.patiently("scoring", scorer.score(prepared.rows())).await {
                    Some(Ok(scores)) => return Ok(Some(scores)),
                    Some(Err(error)) => error,
                    None => return Ok(None),
                };
                if let Next::GiveUp =
                    retry.after(error).await.map_err(|error| ProcessorError::Score(Box::new(error)))?
                {
                    return Ok(None);
                }
            }
        })
    }

    /// Saves the state of the partitions whose last snapshot is no longer the truth, and that are `due`.
    fn save(&mut self, due: impl Fn(&Owned) -> bool) {
        for owned in self.owned.values_mut().filter(|owned| owned.unsaved > 0 && due(owned)) {
            let position = owned.standing();
            if self.done.blocking_send(owned.unjudged(position)).is_err() {
                return;
            }
        }
    }
}

impl Owned {
    fn is_due(&self, policy: &SnapshotPolicy) -> bool {
        let age = self.snapshot_at.elapsed();
        let is_time = self.unsaved >= policy.records || age >= policy.every;
        age >= policy.at_latest || is_time && self.unsaved_bytes >= self.pipeline.snapshot_bytes()
    }

    /// Whether a snapshot costs no more than to read the events since the last one again.
    fn is_cheap(&self) -> bool {
        self.pipeline.snapshot_bytes() <= self.unsaved_bytes.max(SMALL)
    }

    fn count_unsaved(&mut self, records: &[Record]) {
        self.unsaved += records.len() as u64;
        let bytes = |record: &Record| record.payload.len() + record.key.as_ref().map_or(0, Bytes::len);
        self.unsaved_bytes += records.iter().map(bytes).sum::<usize>();
    }

    /// Whether the state is still behind what was judged.
    fn is_replaying(&self) -> bool {
        self.pipeline.position() < self.judge_from
    }

    /// The first offset that is still to be judged.
    fn standing(&self) -> u64 {
        self.pipeline.position().max(self.judge_from)
    }

    /// The position as it is, and the state where that is wanted and cheap.
    fn save(&mut self, with_state: bool) -> ToCommitter {
        let state = if with_state && self.is_cheap() { self.snapshot() } else { Vec::new() };
        self.done(self.standing(), state)
    }

    fn done(&self, next_offset: u64, state: Vec<StateRecord>) -> ToCommitter {
        let assignment = self.assignment;
        ToCommitter::Done(Box::new(Done { assignment, next_offset, lag: None, outcome: Outcome::default(), state }))
    }

    /// The state alone, without any verdict, in a partition that stands at `next_offset`.
    fn unjudged(&mut self, next_offset: u64) -> ToCommitter {
        let state = self.snapshot();
        self.done(next_offset, state)
    }

    fn snapshot(&mut self) -> Vec<StateRecord> {
        (self.unsaved, self.unsaved_bytes) = (0, 0);
        self.snapshot_at = Instant::now();
        self.pipeline.snapshot()
    }

    fn count_entities(&mut self, metrics: &Metrics) {
        let entities = i64::try_from(self.pipeline.entities()).unwrap_or(i64::MAX);
        metrics.entities.add(entities - self.entities);
        self.entities = entities;
    }

    /// Counts who was forgotten, and says so once in a while.
    fn count_forgotten(&mut self, metrics: &Metrics) {
        let forgotten = self.pipeline.forgotten();
        let since = forgotten - std::mem::replace(&mut self.forgotten, forgotten);
        metrics.forgotten.inc_by(since);
        if since > 0 && self.told_at.is_none_or(|at| at.elapsed() >= REMIND) {
            self.told_at = Some(Instant::now());
            let partition = self.assignment.partition;
            tracing::warn!(
                partition,
                forgotten,
                "more entities than detectors.rolling_zscore.max_entities: those least recently seen are forgotten"
            );
        }
    }

    /// Replays the part of the batch that was judged before this run; gives back the rest, if there is one.
    fn replay(&mut self, mut batch: RecordBatch, metrics: &Metrics) -> Option<RecordBatch> {
        let known = batch.records.partition_point(|record| record.offset < self.judge_from);
        if known == 0 && batch.next_offset > self.judge_from {
            self.replaying = None;
            return Some(batch);
        }
        let rest = batch.records.split_off(known);
        metrics.replayed.inc_by(known as u64);
        self.count_unsaved(&batch.records);
        let (next_offset, high_watermark) = (batch.next_offset, batch.high_watermark);
        batch.next_offset = next_offset.min(self.judge_from);
        self.pipeline.replay(&batch);
        if !self.is_replaying() {
            self.replaying = None;
        }
        self.count_entities(metrics);
        // They were counted when they were forgotten first.
        self.forgotten = self.pipeline.forgotten();
        let RecordBatch { topic, partition, .. } = batch;
        (!rest.is_empty()).then_some(RecordBatch { topic, partition, records: rest, next_offset, high_watermark })
    }
}
