//! The source loop: hands batches to the workers, and partitions from one holder to the next.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use pulse_core::ports::{EventSource, Polled, Restored};
use pulse_features::Featurizer;
use pulse_pipeline::{PartitionPipeline, Plan, Restoration};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::commit::{Assignment, ToCommitter, Turn};
use crate::metrics::Metrics;
use crate::progress::Progress;
use crate::retry::{Next, Retry};
use crate::run::{Options, ProcessorError};
use crate::trouble::{Obstacle, Trouble};
use crate::worker::ToWorker;

/// Reads, and knows which partitions are ours.
pub(crate) struct Reader<S> {
    pub(crate) source: S,
    pub(crate) workers: Vec<mpsc::Sender<ToWorker>>,
    pub(crate) to_committer: mpsc::Sender<ToCommitter>,
    /// What the commit task says of partitions.
    pub(crate) turns: mpsc::UnboundedReceiver<Turn>,
    /// Fires when all is committed that ever will be.
    pub(crate) committed: CancellationToken,
    pub(crate) plan: Arc<Plan>,
    pub(crate) featurizer: Featurizer,
    pub(crate) metrics: Metrics,
    pub(crate) progress: Arc<Progress>,
    pub(crate) trouble: Trouble,
    /// Until the group lets us in.
    pub(crate) outside: Option<Obstacle>,
    /// The partitions that are ours.
    pub(crate) assigned: HashMap<u32, Assigned>,
    /// Assignments so far.
    pub(crate) assignments: u64,
    /// Lost partitions, and when they are taken back; the earliest first.
    pub(crate) take_back: VecDeque<(Instant, Assignment)>,
    /// Once told to stop: when reading the rest of the log ends.
    pub(crate) drain_until: Option<Instant>,
}

/// A partition that is ours.
pub(crate) struct Assigned {
    number: u64,
    /// Whether it is being read.
    is_read: bool,
}

impl<S: EventSource> Reader<S> {
    pub(crate) async fn run(mut self, options: Options, stop: CancellationToken) -> Result<(), ProcessorError> {
        let result = self.read(options, stop).await;
        let Self { source, workers, to_committer, committed, .. } = self;
        // What was read is judged and committed while the partitions are still ours.
        drop((workers, to_committer));
        committed.cancelled().await;
        // To leave a group may take a while.
        tokio::task::spawn_blocking(|| drop(source)).await.map_err(ProcessorError::Panic)?;
        result
    }

    async fn read(&mut self, options: Options, stop: CancellationToken) -> Result<(), ProcessorError> {
        loop {
            let take_back_at = self.take_back.front().map(|(at, _)| *at);
            let polled = tokio::select! {
                biased;
                () = self.trouble.abort.cancelled() => return Ok(()),
                () = stop.cancelled(), if self.drain_until.is_none() => {
                    self.drain_until = Some(Instant::now() + options.drain);
                    continue;
                }
                () = at(self.drain_until) => return Ok(()),
                Some(turn) = self.turns.recv() => {
                    if !self.turn(turn, &options).await? {
                        return Ok(());
                    }
                    continue;
                }
                () = at(take_back_at) => None,
                polled = poll(&mut self.source, options.batch_records, &self.metrics, &self.trouble) => match polled? {
                    Some(polled) => Some(polled),
                    None => return Ok(()),
                },
            };
            let open = match polled {
                None => self.take_back().await?,
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

    /// Has partitions taken over. Nothing of them is read until that is done.
    async fn assign(&mut self, partitions: Vec<u32>) -> Result<bool, ProcessorError> {
        drop(self.outside.take());
        if partitions.is_empty() {
            return Ok(true);
        }
        self.source.pause(&partitions);
        let assignments: Vec<Assignment> = partitions.iter().map(|&partition| self.number(partition)).collect();
        self.show_assigned();
        tracing::info!(?partitions, "partitions assigned");
        Ok(self.to_committer.send(ToCommitter::Restore(assignments)).await.is_ok())
    }

    async fn turn(&mut self, turn: Turn, options: &Options) -> Result<bool, ProcessorError> {
        match turn {
            Turn::Taken(assignment, restored) => self.begin(assignment, &restored).await,
            Turn::Lost(assignment) => {
                self.source.pause(&[assignment.partition]);
                self.take_back.push_back((Instant::now() + options.take_back_after, assignment));
                Ok(true)
            }
        }
    }

    /// Reads a partition that was taken over.
    async fn begin(&mut self, assignment: Assignment, restored: &Restored) -> Result<bool, ProcessorError> {
        let partition = assignment.partition;
        match self.assigned.get_mut(&partition) {
            Some(assigned) if assigned.number == assignment.number => assigned.is_read = true,
            // Taken away meanwhile.
            _ => return Ok(true),
        }
        let Restoration { pipeline, replay_from, judge_from, rebuilt } =
            PartitionPipeline::restore(Arc::clone(&self.plan), self.featurizer.clone(), restored);
        if let Some(reason) = rebuilt {
            tracing::warn!(partition, reason, "the snapshot cannot be used: building the state anew, by replay");
        }
        let (entities, begins) = (pipeline.entities(), restored.committed.is_none());
        tracing::info!(partition, entities, judge_from, ?replay_from, "partition taken over");
        let sought = match replay_from {
            Some(offset) => self.source.seek(partition, offset).await,
            None => self.source.seek_to_beginning(partition).await,
        };
        sought.map_err(|error| ProcessorError::Read(Box::new(error)))?;
        self.show_assigned();
        let pipeline = Box::new(pipeline);
        Ok(self.tell(partition, ToWorker::Assign { assignment, pipeline, judge_from, begins }).await)
    }

    fn number(&mut self, partition: u32) -> Assignment {
        self.assignments += 1;
        self.assigned.insert(partition, Assigned { number: self.assignments, is_read: false });
        Assignment { partition, number: self.assignments }
    }

    async fn revoke(&mut self, partitions: Vec<u32>) -> bool {
        tracing::info!(?partitions, "partitions revoked");
        for &partition in &partitions {
            self.assigned.remove(&partition);
            if !self.tell(partition, ToWorker::Revoke { partition }).await {
                return false;
            }
        }
        self.show_assigned();
        self.to_committer.send(ToCommitter::Revoke(partitions)).await.is_ok()
    }

    /// Takes back what was lost, as far as the group still calls it ours.
    async fn take_back(&mut self) -> Result<bool, ProcessorError> {
        let mut ours = Vec::new();
        while let Some((_, Assignment { partition, number })) =
            self.take_back.pop_front_if(|(at, _)| *at <= Instant::now())
        {
            if self.assigned.get(&partition).is_some_and(|assigned| assigned.number == number) {
                ours.push(partition);
            }
        }
        if ours.is_empty() {
            return Ok(true);
        }
        tracing::warn!(partitions = ?ours, "the group still calls the lost partitions ours: taking them back");
        self.assign(ours).await
    }

    fn show_assigned(&self) {
        self.metrics.partitions.set(i64::try_from(self.assigned.len()).unwrap_or(i64::MAX));
        self.progress.set_assigned(self.assigned.values().filter(|assigned| assigned.is_read).count());
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
    trouble: &Trouble,
) -> Result<Option<Polled>, ProcessorError> {
    let mut retry = Retry::new("poll", metrics, trouble);
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
