//! The assembly of a processor.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use pulse_core::ports::{Clock, Committer, EventSource, Scorer};
use pulse_features::Featurizer;
use pulse_pipeline::Plan;
use pulse_runtime::Health;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::anomaly_log::AnomalyLog;
use crate::commit::{CommitTask, ToCommitter};
use crate::holdings::Holdings;
use crate::metrics::Metrics;
use crate::progress::Progress;
use crate::reader::{Reader, Stop};
use crate::trouble::Trouble;
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
    /// Partitions cannot be taken over.
    #[error("partitions {partitions:?} cannot be taken over")]
    Restore {
        /// The partitions.
        partitions: Vec<u32>,
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
    /// A partition's commits begin this far from each other at the least: rarer ones cost the log less, and verdicts wait longer.
    pub commit_interval: Duration,
    /// State is never older than this in a snapshot, while events come …
    pub snapshot_every: Duration,
    /// … nor than this many records of a partition, unless the events since would be cheaper to read again. …
    pub snapshot_records: u64,
    /// … But never older than this.
    pub snapshot_at_latest: Duration,
    /// When told to stop, read on until the log is read to its end, but no longer than this.
    pub drain: Duration,
    /// When told to stop while others of the group are there, work on until they have taken over, but no longer than this.
    pub hand_over: Duration,
    /// A partition that somebody else took, but that the group still calls ours, is taken back after this time: longer
    /// than a member that was thought dead needs to learn that it is no member any more.
    pub take_back_after: Duration,
    /// Anomalies that the log shows in a second at the most, each in a line; 0 shows none.
    pub logged_per_second: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            workers: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            batch_records: 2048,
            commit_interval: Duration::ZERO,
            snapshot_every: Duration::from_secs(10),
            snapshot_records: 50_000,
            snapshot_at_latest: Duration::from_secs(600),
            drain: Duration::ZERO,
            hand_over: Duration::from_secs(5),
            logged_per_second: 0,
            take_back_after: Duration::from_secs(7),
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
    /// Whether it reads, or what is in the way.
    pub health: Health,
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
        let trouble = Trouble::new(self.health.clone(), abort.clone());
        let outside = Some(trouble.obstacle("waiting for the consumer group to assign partitions"));
        let mut tasks = JoinSet::new();
        let (order, orders) = mpsc::unbounded_channel();
        let (tell_turn, turns) = mpsc::unbounded_channel();
        let (committed, reading) = (CancellationToken::new(), CancellationToken::new());
        let (workers, commits) = self.spawn_workers(&mut tasks, &trouble);
        let Self { source, committer, plan, featurizer, options, clock, metrics, progress, .. } = self;
        let commit_task = CommitTask {
            committer: Arc::new(committer),
            clock,
            metrics: metrics.clone(),
            progress: Arc::clone(&progress),
            trouble: trouble.clone(),
            dead_letters: Arc::clone(plan.dead_letters()),
            turns: tell_turn,
            interval: options.commit_interval,
            held: HashMap::new(),
            one_taking_at_a_time: Arc::default(),
            turnstiles: HashMap::new(),
            anomaly_log: AnomalyLog::new(options.logged_per_second),
        };
        let all_committed = committed.clone().drop_guard();
        tasks.spawn(async move {
            let _all_committed = all_committed;
            commit_task.run(orders, commits).await
        });
        let reader = Reader {
            source,
            workers,
            order,
            turns,
            reading: reading.clone().drop_guard(),
            committed,
            plan,
            featurizer,
            metrics,
            progress,
            trouble,
            outside,
            holdings: Holdings::default(),
            look_at: None,
            stop: Stop::No,
        };
        tasks.spawn(reader.run(options, stop.clone()));
        tasks.spawn(give_up(stop, options, reading, abort.clone()));
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

    /// The inboxes of the workers, and what they tell the commit task.
    fn spawn_workers(
        &self,
        tasks: &mut JoinSet<Result<(), ProcessorError>>,
        trouble: &Trouble,
    ) -> (Vec<mpsc::Sender<ToWorker>>, mpsc::Receiver<ToCommitter>) {
        let (done, commits) = mpsc::channel(COMMIT_QUEUE);
        let snapshots = SnapshotPolicy {
            every: self.options.snapshot_every,
            records: self.options.snapshot_records,
            at_latest: self.options.snapshot_at_latest,
        };
        let spawn = |_| {
            let (sender, inbox) = mpsc::channel(WORKER_QUEUE);
            let worker = Worker {
                scorer: self.scorer.clone(),
                clock: Arc::clone(&self.clock),
                metrics: self.metrics.clone(),
                snapshots,
                done: done.clone(),
                runtime: Handle::current(),
                trouble: trouble.clone(),
                owned: HashMap::new(),
            };
            tasks.spawn_blocking(move || worker.run(inbox));
            sender
        };
        ((0..self.options.workers.get()).map(spawn).collect(), commits)
    }
}

/// Once nothing is read any more and the time to drain is over, nobody tries again what fails: what was not committed is
/// read again at the next start.
async fn give_up(
    stop: CancellationToken,
    options: Options,
    reading: CancellationToken,
    abort: CancellationToken,
) -> Result<(), ProcessorError> {
    stop.cancelled().await;
    tokio::time::sleep(options.drain).await;
    tokio::select! {
        () = reading.cancelled() => {}
        () = tokio::time::sleep(options.hand_over) => {}
    }
    abort.cancel();
    // Ends with the others: they are what is waited for.
    std::future::pending().await
}
