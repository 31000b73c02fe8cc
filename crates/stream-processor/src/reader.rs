//! The source loop: hands batches to the workers, and partitions from one holder to the next.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use pulse_core::ports::{EventSource, Polled, Restored};
use pulse_features::Featurizer;
use pulse_pipeline::{PartitionPipeline, Plan};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::commit::{Assignment, ToCommitter};
use crate::metrics::Metrics;
use crate::progress::Progress;
use crate::retry::{Next, Retry, Trouble};
use crate::run::{Options, ProcessorError};
use crate::worker::ToWorker;

/// Reads, and knows which partitions are ours.
pub(crate) struct Reader<S> {
    pub(crate) source: S,
    pub(crate) workers: Vec<mpsc::Sender<ToWorker>>,
    pub(crate) to_committer: mpsc::Sender<ToCommitter>,
    /// Partitions that were found to be in other hands.
    pub(crate) lost: mpsc::UnboundedReceiver<Assignment>,
    pub(crate) plan: Arc<Plan>,
    pub(crate) featurizer: Featurizer,
    pub(crate) metrics: Metrics,
    pub(crate) progress: Arc<Progress>,
    pub(crate) trouble: Trouble,
    /// The number of the assignment of each partition that is ours.
    pub(crate) assigned: HashMap<u32, u64>,
    /// Assignments so far.
    pub(crate) assignments: u64,
    /// Lost partitions, and when they are taken back; the earliest first.
    pub(crate) take_back: VecDeque<(Instant, Assignment)>,
    /// Once told to stop: when reading the rest of the log ends.
    pub(crate) drain_until: Option<Instant>,
}

impl<S: EventSource> Reader<S> {
    pub(crate) async fn run(mut self, options: Options, stop: CancellationToken) -> Result<(), ProcessorError> {
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
                Some(lost) = self.lost.recv() => {
                    self.take_back.push_back((Instant::now() + options.take_back_after, lost));
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

    async fn assign(&mut self, partitions: Vec<u32>) -> Result<bool, ProcessorError> {
        let assignments: Vec<Assignment> = partitions.iter().map(|&partition| self.number(partition)).collect();
        let (answer, restored) = oneshot::channel();
        if self.to_committer.send(ToCommitter::Restore(assignments.clone(), answer)).await.is_err() {
            return Ok(false);
        }
        let Ok(restored) = restored.await else { return Ok(false) };
        let (mut entities, mut to_replay) = (0, 0);
        for (assignment, Restored { committed, state }) in assignments.into_iter().zip(restored) {
            let partition = assignment.partition;
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
            if !self.tell(partition, ToWorker::Assign { assignment, pipeline, emit_from: committed }).await {
                return Ok(false);
            }
        }
        tracing::info!(?partitions, entities, to_replay, "partitions assigned");
        self.show_assigned();
        Ok(true)
    }

    fn number(&mut self, partition: u32) -> Assignment {
        self.assignments += 1;
        self.assigned.insert(partition, self.assignments);
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
            if self.assigned.get(&partition) == Some(&number) {
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
        self.progress.set_assigned(self.assigned.len());
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
