//! A worker: an operating-system thread that owns the pipelines of its partitions.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pulse_core::RecordBatch;
use pulse_core::ports::{Clock, Scorer, Scores, StateRecord};
use pulse_pipeline::{Outcome, PartitionPipeline, Prepared};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::commit::{Assignment, Done, ToCommitter};
use crate::metrics::{Metrics, Stage};
use crate::retry::{Next, Retry};
use crate::run::ProcessorError;
use crate::trouble::Trouble;

/// What a worker is told.
pub(crate) enum ToWorker {
    /// A partition is ours. Events before `judge_from` were judged before this run, unless the group only begins there.
    Assign { assignment: Assignment, pipeline: Box<PartitionPipeline>, judge_from: u64, begins: bool },
    /// It no longer is.
    Revoke { partition: u32 },
    /// Commit its position and what has changed of its state, even if nothing has.
    Save { partition: u32 },
    /// Records of a partition of ours.
    Batch(RecordBatch),
}

pub(crate) struct Owned {
    assignment: Assignment,
    pipeline: Box<PartitionPipeline>,
    judge_from: u64,
    snapshot_at: Instant,
    /// Records judged since the last snapshot.
    unsaved: u64,
    /// Its entities, as the gauge knows them.
    entities: i64,
}

/// When a partition's state is snapshotted: whichever comes first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SnapshotPolicy {
    pub(crate) every: Duration,
    pub(crate) records: u64,
}

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
                self.save(self.snapshots.every);
            }
        }
        self.save(Duration::ZERO);
        Ok(())
    }

    /// Does what it is told; false when nobody takes the results any more.
    fn handle(&mut self, message: ToWorker) -> Result<bool, ProcessorError> {
        match message {
            ToWorker::Assign { assignment, pipeline, judge_from, begins } => {
                let snapshot_at = Instant::now();
                let mut owned = Owned { assignment, pipeline, judge_from, snapshot_at, unsaved: 0, entities: 0 };
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
            ToWorker::Save { partition } => {
                let saved = self.owned.get_mut(&partition).map(Owned::save);
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
        let mut first = batch.records.first().map(|record| record.offset);
        let timer = self.metrics.time(Stage::Prepare);
        let prepared = owned.pipeline.prepare(batch);
        timer.observe_duration();
        owned.count_entities(&self.metrics);
        if prepared.rows().is_empty() && self.scorer.is_some() {
            // Nothing is scored, so that no model tells its version.
            first = None;
        }
        let Some(scores) = self.score(&prepared)? else { return Ok(false) };
        let timer = self.metrics.time(Stage::Judge);
        let next_offset = prepared.next_offset();
        let Some(owned) = self.owned.get_mut(&partition) else { return Ok(true) };
        let switch = first.and_then(|first| owned.pipeline.note_versions(first, &scores));
        let outcome = owned.pipeline.judge(prepared, &scores, self.clock.now());
        timer.observe_duration();
        let mut state = self.snapshot_if_due(partition, outcome.counts.read);
        state.extend(switch);
        Ok(self.send(ToCommitter::Done(Box::new(Done { assignment, next_offset, lag, outcome, state }))))
    }

    /// Tells how far a replay is, and saves the state now and then: the next start goes on there. False when nobody takes it.
    fn replayed(&mut self, partition: u32, lag: u64) -> bool {
        let snapshots = self.snapshots;
        let Some(owned) = self.owned.get_mut(&partition) else { return true };
        let is_due = owned.unsaved >= snapshots.records || owned.snapshot_at.elapsed() >= snapshots.every;
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

    fn snapshot_if_due(&mut self, partition: u32, read: u64) -> Vec<StateRecord> {
        let Some(owned) = self.owned.get_mut(&partition) else { return Vec::new() };
        owned.unsaved += read;
        let due = owned.unsaved >= self.snapshots.records || owned.snapshot_at.elapsed() >= self.snapshots.every;
        if due { owned.snapshot() } else { Vec::new() }
    }

    /// Saves the state of the partitions whose last snapshot is at least this old and no longer the truth.
    fn save(&mut self, age: Duration) {
        let due = |owned: &Owned| owned.unsaved > 0 && owned.snapshot_at.elapsed() >= age;
        for owned in self.owned.values_mut().filter(|owned| due(owned)) {
            if self.done.blocking_send(owned.save()).is_err() {
                return;
            }
        }
    }
}

impl Owned {
    /// The state and the position as they are.
    fn save(&mut self) -> ToCommitter {
        self.unjudged(self.pipeline.position().max(self.judge_from))
    }

    /// The state alone, without any verdict, in a partition that stands at `next_offset`.
    fn unjudged(&mut self, next_offset: u64) -> ToCommitter {
        let (assignment, state) = (self.assignment, self.snapshot());
        ToCommitter::Done(Box::new(Done { assignment, next_offset, lag: None, outcome: Outcome::default(), state }))
    }

    fn snapshot(&mut self) -> Vec<StateRecord> {
        self.unsaved = 0;
        self.snapshot_at = Instant::now();
        self.pipeline.snapshot()
    }

    fn count_entities(&mut self, metrics: &Metrics) {
        let entities = i64::try_from(self.pipeline.entities()).unwrap_or(i64::MAX);
        metrics.entities.add(entities - self.entities);
        self.entities = entities;
    }

    /// Replays the part of the batch that was judged before this run; gives back the rest, if there is one.
    fn replay(&mut self, mut batch: RecordBatch, metrics: &Metrics) -> Option<RecordBatch> {
        let known = batch.records.partition_point(|record| record.offset < self.judge_from);
        if known == 0 && batch.next_offset > self.judge_from {
            return Some(batch);
        }
        let rest = batch.records.split_off(known);
        metrics.replayed.inc_by(known as u64);
        self.unsaved += known as u64;
        let (next_offset, high_watermark) = (batch.next_offset, batch.high_watermark);
        batch.next_offset = next_offset.min(self.judge_from);
        self.pipeline.replay(&batch);
        self.count_entities(metrics);
        let RecordBatch { topic, partition, .. } = batch;
        (!rest.is_empty()).then_some(RecordBatch { topic, partition, records: rest, next_offset, high_watermark })
    }
}
