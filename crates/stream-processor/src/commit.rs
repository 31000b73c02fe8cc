//! The commit task: everything that is ready, in as few transactions as the log allows.

use std::collections::HashMap;
use std::sync::Arc;

use pulse_core::ports::{Clock, Commit, Committer, Restored, StateRecord};
use pulse_core::{Classify, ErrorClass};
use pulse_pipeline::Outcome;
use tokio::sync::{mpsc, oneshot};

use crate::anomaly_log::AnomalyLog;
use crate::metrics::{Metrics, Stage};
use crate::progress::Progress;
use crate::retry::{Next, Retry, Trouble};
use crate::run::ProcessorError;

/// Batches that are committed at once at the most.
const MAX_BATCHES: usize = 64;

/// A partition during the time that it is ours. Assigned again, it has another number: what was judged in between by
/// somebody else must not be mixed with what we judged before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Assignment {
    pub(crate) partition: u32,
    pub(crate) number: u64,
}

/// A judged batch, or the last snapshot of a partition.
pub(crate) struct Done {
    pub(crate) assignment: Assignment,
    pub(crate) next_offset: u64,
    /// Records behind it in the log; none where that is not news.
    pub(crate) lag: Option<u64>,
    pub(crate) outcome: Outcome,
    pub(crate) state: Vec<StateRecord>,
}

/// What the commit task is told.
pub(crate) enum ToCommitter {
    /// Commit this.
    Done(Done),
    /// Take over partitions.
    Restore(Vec<Assignment>, oneshot::Sender<Vec<Restored>>),
    /// Commit nothing of these any more.
    Revoke(Vec<u32>),
}

/// Owns the committer and what is counted at a commit.
pub(crate) struct CommitTask<C> {
    pub(crate) committer: C,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Metrics,
    pub(crate) progress: Arc<Progress>,
    pub(crate) trouble: Trouble,
    /// Tells that somebody else holds a partition that we thought was ours.
    pub(crate) lost: mpsc::UnboundedSender<Assignment>,
    /// The partitions that are ours.
    pub(crate) held: HashMap<u32, Held>,
    pub(crate) anomaly_log: AnomalyLog,
}

/// A partition that is ours.
pub(crate) struct Held {
    number: u64,
    lag: u64,
}

impl<C: Committer> CommitTask<C> {
    /// Commits until all senders are gone.
    pub(crate) async fn run(mut self, mut inbox: mpsc::Receiver<ToCommitter>) -> Result<(), ProcessorError> {
        let mut messages = Vec::with_capacity(MAX_BATCHES);
        while inbox.recv_many(&mut messages, MAX_BATCHES).await > 0 {
            let mut ready = Vec::with_capacity(messages.len());
            for message in std::mem::take(&mut messages) {
                let going_on = match message {
                    ToCommitter::Done(done) => {
                        ready.push(done);
                        true
                    }
                    ToCommitter::Restore(assignments, answer) => {
                        // What was judged before belongs to the assignments before.
                        self.commit(std::mem::take(&mut ready)).await? && self.restore(assignments, answer).await?
                    }
                    ToCommitter::Revoke(partitions) => {
                        let going_on = self.commit(std::mem::take(&mut ready)).await?;
                        self.held.retain(|partition, _| !partitions.contains(partition));
                        going_on
                    }
                };
                if !going_on {
                    return Ok(());
                }
            }
            if !self.commit(ready).await? {
                return Ok(());
            }
            let lag: u64 = self.held.values().map(|held| held.lag).sum();
            self.progress.set_lag(lag);
            self.metrics.lag.set(i64::try_from(lag).unwrap_or(i64::MAX));
        }
        Ok(())
    }

    /// Takes over partitions; false when told to give up.
    async fn restore(
        &mut self,
        assignments: Vec<Assignment>,
        answer: oneshot::Sender<Vec<Restored>>,
    ) -> Result<bool, ProcessorError> {
        let partitions: Vec<u32> = assignments.iter().map(|assignment| assignment.partition).collect();
        let mut retry = Retry::new("restore", &self.metrics, &self.trouble);
        let restored = loop {
            let error = match self.committer.restore(&partitions).await {
                Ok(restored) => break restored,
                Err(error) => error,
            };
            let next = retry
                .after(error)
                .await
                .map_err(|error| ProcessorError::Restore { partitions: partitions.clone(), source: Box::new(error) })?;
            if let Next::GiveUp = next {
                return Ok(false);
            }
        };
        let held = |Assignment { partition, number }| (partition, Held { number, lag: 0 });
        self.held.extend(assignments.into_iter().map(held));
        // A receiver that is gone no longer wants the partitions.
        drop(answer.send(restored));
        Ok(true)
    }

    /// Commits; false when told to give up.
    async fn commit(&mut self, mut ready: Vec<Done>) -> Result<bool, ProcessorError> {
        ready.retain(|done| self.is_held(done.assignment));
        if ready.is_empty() {
            return Ok(true);
        }
        let mut commits = merge(&mut ready);
        let timer = self.metrics.time(Stage::Commit);
        // Cloned, because what is held changes while it tries again.
        let (metrics, trouble) = (self.metrics.clone(), self.trouble.clone());
        let mut retry = Retry::new("commit", &metrics, &trouble);
        while !commits.is_empty() {
            let results = self.committer.commit(&commits).await;
            let mut failure = None;
            let mut failed = Vec::new();
            for (commit, result) in commits.into_iter().zip(results) {
                match result {
                    Ok(()) => {
                        self.metrics.commits.inc();
                        self.anomaly_log.committed(&commit.outputs);
                    }
                    Err(error) if error.class() == ErrorClass::Fenced => self.lose(commit.partition, &error),
                    Err(error) => {
                        failed.push(commit);
                        failure = Some(error);
                    }
                }
            }
            commits = failed;
            let Some(error) = failure else { break };
            if let Next::GiveUp = retry.after(error).await.map_err(|error| ProcessorError::Commit(Box::new(error)))? {
                return Ok(false);
            }
        }
        timer.observe_duration();
        let now = self.clock.now().as_millisecond();
        for done in ready.iter().filter(|done| self.is_held(done.assignment)) {
            self.metrics.committed(&done.outcome, now);
            self.progress.committed(&done.outcome.counts, &done.outcome.judged, now);
        }
        for Done { assignment, lag, .. } in ready {
            if let (Some(held), Some(lag)) = (self.held.get_mut(&assignment.partition), lag) {
                held.lag = lag;
            }
        }
        Ok(true)
    }

    fn is_held(&self, Assignment { partition, number }: Assignment) -> bool {
        self.held.get(&partition).is_some_and(|held| held.number == number)
    }

    fn lose(&mut self, partition: u32, error: &C::Error) {
        let Some(Held { number, .. }) = self.held.remove(&partition) else { return };
        tracing::warn!(partition, %error, "somebody else holds the partition: letting go of it");
        // Nobody listens any more when the processor ends.
        self.lost.send(Assignment { partition, number }).unwrap_or_default();
    }
}

/// One commit for each partition, outputs in order; a later snapshot replaces the values of an earlier one.
fn merge(ready: &mut [Done]) -> Vec<Commit> {
    let mut commits: Vec<Commit> = Vec::new();
    for done in ready {
        let partition = done.assignment.partition;
        let index = commits.iter().position(|commit| commit.partition == partition).unwrap_or_else(|| {
            commits.push(Commit { partition, ..Commit::default() });
            commits.len() - 1
        });
        let commit = &mut commits[index];
        commit.next_offset = done.next_offset;
        commit.outputs.append(&mut done.outcome.outputs);
        commit.state.append(&mut done.state);
    }
    commits
}
