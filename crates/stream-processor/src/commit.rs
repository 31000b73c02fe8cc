//! The commit task: everything that is ready, in one transaction.

use std::collections::HashMap;
use std::sync::Arc;

use pulse_core::ports::{Clock, Commit, Committer, Restored, StateRecord};
use pulse_pipeline::Outcome;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::metrics::{Metrics, Stage};
use crate::progress::Progress;
use crate::retry::{Next, Retry};
use crate::run::ProcessorError;

/// Batches that one transaction takes at the most.
const MAX_BATCHES: usize = 64;

/// A judged batch, or the last snapshot of a partition.
pub(crate) struct Done {
    pub(crate) partition: u32,
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
    /// Take over a partition.
    Restore(u32, oneshot::Sender<Restored>),
}

/// Owns the committer and what is counted at a commit.
pub(crate) struct CommitTask<C> {
    pub(crate) committer: C,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Metrics,
    pub(crate) progress: Arc<Progress>,
    pub(crate) abort: CancellationToken,
}

impl<C: Committer> CommitTask<C> {
    /// Commits until all senders are gone.
    pub(crate) async fn run(mut self, mut inbox: mpsc::Receiver<ToCommitter>) -> Result<(), ProcessorError> {
        let mut lags: HashMap<u32, u64> = HashMap::new();
        let mut messages = Vec::with_capacity(MAX_BATCHES);
        while inbox.recv_many(&mut messages, MAX_BATCHES).await > 0 {
            let mut ready = Vec::with_capacity(messages.len());
            for message in std::mem::take(&mut messages) {
                match message {
                    ToCommitter::Done(done) => {
                        if let Some(lag) = done.lag {
                            lags.insert(done.partition, lag);
                        }
                        ready.push(done);
                    }
                    ToCommitter::Restore(partition, answer) => {
                        // Nothing of this partition is in `ready`: it was not ours until now.
                        lags.insert(partition, 0);
                        let Some(restored) = self.restore(partition).await? else { return Ok(()) };
                        // A receiver that is gone no longer wants the partition.
                        drop(answer.send(restored));
                    }
                }
            }
            if !self.commit(ready).await? {
                return Ok(());
            }
            let lag: u64 = lags.values().sum();
            self.progress.set_lag(lag);
            self.metrics.lag.set(i64::try_from(lag).unwrap_or(i64::MAX));
        }
        Ok(())
    }

    async fn restore(&mut self, partition: u32) -> Result<Option<Restored>, ProcessorError> {
        let mut retry = Retry::new("restore", &self.metrics, &self.abort);
        loop {
            let error = match self.committer.restore(partition).await {
                Ok(restored) => return Ok(Some(restored)),
                Err(error) => error,
            };
            let next = retry.after(error).await;
            if let Next::GiveUp =
                next.map_err(|error| ProcessorError::Restore { partition, source: Box::new(error) })?
            {
                return Ok(None);
            }
        }
    }

    /// Commits; false when told to give up.
    async fn commit(&mut self, mut ready: Vec<Done>) -> Result<bool, ProcessorError> {
        if ready.is_empty() {
            return Ok(true);
        }
        let commits = merge(&mut ready);
        let timer = self.metrics.time(Stage::Commit);
        let mut retry = Retry::new("commit", &self.metrics, &self.abort);
        while let Err(error) = self.committer.commit(commits.clone()).await {
            let next = retry.after(error).await;
            if let Next::GiveUp = next.map_err(|error| ProcessorError::Commit(Box::new(error)))? {
                return Ok(false);
            }
        }
        timer.observe_duration();
        self.metrics.commits.inc();
        let now = self.clock.now().as_millisecond();
        for Done { outcome, .. } in &ready {
            self.metrics.count(&outcome.counts);
            self.metrics.observe_latency(&outcome.judged, now);
            self.progress.committed(&outcome.counts, &outcome.judged, now);
        }
        Ok(true)
    }
}

/// One commit for each partition, outputs in order; a later snapshot replaces the values of an earlier one.
fn merge(ready: &mut [Done]) -> Vec<Commit> {
    let mut commits: Vec<Commit> = Vec::new();
    for done in ready {
        let index = commits.iter().position(|commit| commit.partition == done.partition).unwrap_or_else(|| {
            commits.push(Commit { partition: done.partition, ..Commit::default() });
            commits.len() - 1
        });
        let commit = &mut commits[index];
        commit.next_offset = done.next_offset;
        commit.outputs.append(&mut done.outcome.outputs);
        commit.state.append(&mut done.state);
    }
    commits
}
