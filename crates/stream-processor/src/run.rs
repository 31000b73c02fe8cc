//! The source loop, and the assembly of a processor.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use pulse_core::ports::{Clock, Committer, EventSource, Polled, Restored, Scorer};
use pulse_features::Featurizer;
use pulse_pipeline::{PartitionPipeline, Plan};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::commit::{CommitTask, ToCommitter};
use crate::metrics::Metrics;
use crate::progress::Progress;
use crate::retry::{Next, Retry};
use crate::worker::{SnapshotPolicy, ToWorker, Worker};

/// Batches that wait for a worker at the most.
const WORKER_QUEUE: usize = 4;
/// Judged batches that wait for a commit at the most.
const COMMIT_QUEUE: usize = 64;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why a processor ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessorError {
    /// The input topic cannot be read.
    #[error("the input topic cannot be read")]
    Read(#[source] Source),
    /// The model cannot score.
    #[error("the model cannot score")]
    Score(#[source] Source),
    /// A partition cannot be taken over.
    #[error("partition {partition} cannot be taken over")]
    Restore {
        /// The partition.
        partition: u32,
        /// Why.
        source: Source,
    },
    /// Results cannot be committed.
    #[error("results cannot be committed")]
    Commit(#[source] Source),
    /// A worker panicked.
    #[error("a worker panicked")]
    Panic(#[source] tokio::task::JoinError),
}

/// How a processor works.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Worker threads.
    pub workers: NonZeroUsize,
    /// Records of a batch at the most.
    pub batch_records: usize,
    /// State is never older than this in a snapshot, while events come …
    pub snapshot_every: Duration,
    /// … nor than this many records of a partition.
    pub snapshot_records: u64,
    /// When told to stop, read on until the log is read to its end, but no longer than this.
    pub drain: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            workers: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            batch_records: 2048,
            snapshot_every: Duration::from_secs(10),
            snapshot_records: 50_000,
            drain: Duration::ZERO,
        }
    }
}

/// A processor and what it works with.
#[expect(missing_debug_implementations, reason = "it holds ports, which need not have it")]
pub struct Processor<S, C, M> {
    /// Where events come from.
    pub source: S,
    /// Where verdicts, state and positions go.
    pub committer: C,
    /// The model, where the use case has one.
    pub scorer: Option<Arc<M>>,
    /// The use case.
    pub plan: Arc<Plan>,
    /// Its validation and derived columns.
    pub featurizer: Featurizer,
    /// How to work.
    pub options: Options,
    /// For `detected_at` and for latencies.
    pub clock: Arc<dyn Clock>,
    /// Metrics.
    pub metrics: Metrics,
    /// What was done so far.
    pub progress: Arc<Progress>,
}

impl<S: EventSource, C: Committer, M: Scorer> Processor<S, C, M> {
    /// Judges events until `stop` fires; then finishes what was read.
    ///
    /// # Errors
    /// When something failed that trying again cannot mend.
    pub async fn run(self, stop: CancellationToken) -> Result<(), ProcessorError> {
        // Fires when a part failed: the others must not wait for it.
        let abort = CancellationToken::new();
        // Workers are threads: when this future is dropped, nothing else tells them.
        let _abort_when_dropped = abort.clone().drop_guard();
        let mut tasks = JoinSet::new();
        let (to_committer, commits) = mpsc::channel(COMMIT_QUEUE);
        let workers = self.spawn_workers(&mut tasks, &to_committer, &abort);
        let Self { source, committer, plan, featurizer, options, clock, metrics, progress, .. } = self;
        let (shared, aborted) = (Arc::clone(&progress), abort.clone());
        let task = CommitTask { committer, clock, metrics: metrics.clone(), progress: shared, abort: aborted };
        tasks.spawn(task.run(commits));
        let abort_reader = abort.clone();
        let reader = Reader {
            source,
            workers,
            to_committer,
            plan,
            featurizer,
            metrics,
            progress,
            abort: abort_reader,
            assigned: 0,
            drain_until: None,
        };
        tasks.spawn(reader.run(options, stop.clone()));
        tasks.spawn(give_up(stop, options.drain, abort.clone()));
        let mut result = Ok(());
        // All but the one that waits to give up.
        while tasks.len() > 1
            && let Some(ended) = tasks.join_next().await
        {
            if let Err(error) = ended.map_err(ProcessorError::Panic).flatten() {
                abort.cancel();
                // The first failure is the cause; the others follow from it.
                result = result.and(Err(error));
            }
        }
        result
    }

    fn spawn_workers(
        &self,
        tasks: &mut JoinSet<Result<(), ProcessorError>>,
        done: &mpsc::Sender<ToCommitter>,
        abort: &CancellationToken,
    ) -> Vec<mpsc::Sender<ToWorker>> {
        let snapshots = SnapshotPolicy { every: self.options.snapshot_every, records: self.options.snapshot_records };
        let spawn = |_| {
            let (sender, inbox) = mpsc::channel(WORKER_QUEUE);
            let worker = Worker {
                scorer: self.scorer.clone(),
                clock: Arc::clone(&self.clock),
                metrics: self.metrics.clone(),
                snapshots,
                done: done.clone(),
                runtime: Handle::current(),
                abort: abort.clone(),
                owned: HashMap::new(),
            };
            tasks.spawn_blocking(move || worker.run(inbox));
            sender
        };
        (0..self.options.workers.get()).map(spawn).collect()
    }
}

struct Reader<S> {
    source: S,
    workers: Vec<mpsc::Sender<ToWorker>>,
    to_committer: mpsc::Sender<ToCommitter>,
    plan: Arc<Plan>,
    featurizer: Featurizer,
    metrics: Metrics,
    progress: Arc<Progress>,
    abort: CancellationToken,
    /// Partitions that are ours.
    assigned: usize,
    /// Once told to stop: when reading the rest of the log ends.
    drain_until: Option<Instant>,
}

impl<S: EventSource> Reader<S> {
    async fn run(mut self, options: Options, stop: CancellationToken) -> Result<(), ProcessorError> {
        loop {
            let polled = tokio::select! {
                biased;
                () = self.abort.cancelled() => return Ok(()),
                () = stop.cancelled(), if self.drain_until.is_none() => {
                    self.drain_until = Some(Instant::now() + options.drain);
                    continue;
                }
                () = at(self.drain_until) => return Ok(()),
                polled = poll(&mut self.source, options.batch_records, &self.metrics, &self.abort) => polled?,
            };
            let open = match polled {
                None => false,
                Some(Polled::Idle) => self.drain_until.is_none(),
                Some(Polled::Records(batch)) => self.tell(batch.partition, ToWorker::Batch(batch)).await,
                Some(Polled::Assigned(partitions)) => self.assign(partitions).await?,
                Some(Polled::Revoked(partitions)) => self.revoke(partitions).await,
            };
            if !open {
                return Ok(());
            }
        }
    }

    async fn assign(&mut self, partitions: Vec<u32>) -> Result<bool, ProcessorError> {
        let (count, mut entities, mut to_replay) = (partitions.len(), 0, 0);
        for partition in partitions {
            let (answer, restored) = oneshot::channel();
            if self.to_committer.send(ToCommitter::Restore(partition, answer)).await.is_err() {
                return Ok(false);
            }
            let Ok(Restored { committed, state }) = restored.await else { return Ok(false) };
            let committed = committed.unwrap_or(0);
            let restoration = PartitionPipeline::restore(Arc::clone(&self.plan), self.featurizer.clone(), &state);
            if let Some(reason) = restoration.rebuilt {
                tracing::warn!(partition, reason, "the snapshot cannot be used: rebuilding the state by replay");
            }
            let from = restoration.replay_from.min(committed);
            entities += restoration.pipeline.entities();
            to_replay += committed - from;
            self.source.seek(partition, from).await.map_err(|error| ProcessorError::Read(Box::new(error)))?;
            let pipeline = Box::new(restoration.pipeline);
            if !self.tell(partition, ToWorker::Assign { partition, pipeline, emit_from: committed }).await {
                return Ok(false);
            }
            self.assigned += 1;
        }
        tracing::info!(partitions = count, entities, to_replay, "partitions assigned");
        self.show_assigned();
        Ok(true)
    }

    async fn revoke(&mut self, partitions: Vec<u32>) -> bool {
        for partition in partitions {
            self.assigned = self.assigned.saturating_sub(1);
            if !self.tell(partition, ToWorker::Revoke { partition }).await {
                return false;
            }
        }
        self.show_assigned();
        true
    }

    fn show_assigned(&self) {
        self.metrics.partitions.set(i64::try_from(self.assigned).unwrap_or(i64::MAX));
        self.progress.set_assigned(self.assigned);
    }

    /// Hands a message to the partition's worker; false when it is gone, or the time to stop is over.
    async fn tell(&mut self, partition: u32, message: ToWorker) -> bool {
        let worker = &self.workers[partition as usize % self.workers.len()];
        tokio::select! {
            sent = worker.send(message) => sent.is_ok(),
            () = at(self.drain_until) => false,
        }
    }
}

async fn poll<S: EventSource>(
    source: &mut S,
    batch_records: usize,
    metrics: &Metrics,
    abort: &CancellationToken,
) -> Result<Option<Polled>, ProcessorError> {
    let mut retry = Retry::new("poll", metrics, abort);
    loop {
        let error = match source.poll(batch_records).await {
            Ok(polled) => return Ok(Some(polled)),
            Err(error) => error,
        };
        if let Next::GiveUp = retry.after(error).await.map_err(|error| ProcessorError::Read(Box::new(error)))? {
            return Ok(None);
        }
    }
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

/// Once the time to drain is over, nobody tries again what fails: what was not committed is read again at the next start.
async fn give_up(stop: CancellationToken, drain: Duration, abort: CancellationToken) -> Result<(), ProcessorError> {
    stop.cancelled().await;
    tokio::time::sleep(drain).await;
    abort.cancel();
    // Ends with the others: they are what is waited for.
    std::future::pending().await
}
