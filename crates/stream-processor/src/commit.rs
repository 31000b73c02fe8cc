//! The commit task: everything that is ready, in as few transactions as the log allows.

use std::collections::HashMap;
use std::sync::Arc;

use pulse_core::ports::{Clock, Commit, Committer, Restored, StateRecord};
use pulse_core::{Classify as _, ErrorClass};
use pulse_pipeline::Outcome;
use pulse_runtime::chain;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::anomaly_log::AnomalyLog;
use crate::metrics::{Metrics, Stage};
use crate::oversize;
use crate::progress::Progress;
use crate::restore::{Taken, Taking, Wanted};
use crate::retry::{Next, Retry};
use crate::run::ProcessorError;
use crate::trouble::Trouble;

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
    Done(Box<Done>),
    /// Take over partitions.
    Restore(Vec<Assignment>),
    /// Commit nothing of these any more.
    Revoke(Vec<u32>),
    /// So many records wait behind those that are being replayed.
    Replayed(Assignment, u64),
}

/// What it says of partitions.
pub(crate) enum Turn {
    /// Ours, and how it stands.
    Taken(Assignment, Restored),
    /// Somebody else holds it, although we thought that it was ours.
    Lost(Assignment),
}

/// Owns the committer and what is counted at a commit.
pub(crate) struct CommitTask<C> {
    pub(crate) committer: Arc<C>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Metrics,
    pub(crate) progress: Arc<Progress>,
    pub(crate) trouble: Trouble,
    /// The topic of what is too large for any other.
    pub(crate) dead_letters: Arc<str>,
    pub(crate) turns: mpsc::UnboundedSender<Turn>,
    /// The partitions that are ours.
    pub(crate) held: HashMap<u32, Held>,
    /// A partition may be taken away and given back while it is being taken over.
    pub(crate) one_taking_at_a_time: Arc<Mutex<()>>,
    pub(crate) anomaly_log: AnomalyLog,
}

/// A partition that is ours, or about to be.
pub(crate) struct Held {
    number: u64,
    lag: u64,
    /// Whether it was taken over.
    taken: bool,
    /// Tells when it is held no longer.
    _revoke: DropGuard,
}

impl<C: Committer> CommitTask<C> {
    /// Commits until all senders are gone.
    pub(crate) async fn run(mut self, mut inbox: mpsc::Receiver<ToCommitter>) -> Result<(), ProcessorError> {
        let (tell_taken, mut taken) = mpsc::channel(MAX_BATCHES);
        let mut taking = JoinSet::new();
        let mut messages = Vec::with_capacity(MAX_BATCHES);
        loop {
            tokio::select! {
                Some(taken) = taken.recv() => self.take(taken)?,
                received = inbox.recv_many(&mut messages, MAX_BATCHES) => {
                    if received == 0 {
                        return Ok(());
                    }
                    let mut ready = Vec::with_capacity(messages.len());
                    for message in messages.drain(..) {
                        match message {
                            ToCommitter::Done(done) => ready.push(*done),
                            ToCommitter::Restore(assignments) => {
                                // What was judged before belongs to the assignments before.
                                if !self.commit(std::mem::take(&mut ready)).await? {
                                    return Ok(());
                                }
                                taking.spawn(self.taking(&tell_taken).run(self.want(assignments)));
                            }
                            ToCommitter::Revoke(partitions) => {
                                if !self.commit(std::mem::take(&mut ready)).await? {
                                    return Ok(());
                                }
                                self.let_go(&partitions);
                            }
                            ToCommitter::Replayed(assignment, lag) => self.set_lag(assignment, lag),
                        }
                    }
                    if !self.commit(ready).await? {
                        return Ok(());
                    }
                    self.show_lag();
                }
                // Those that have ended are forgotten.
                Some(_) = taking.join_next() => {}
            }
        }
    }

    fn taking(&self, taken: &mpsc::Sender<Taken>) -> Taking<C> {
        Taking {
            committer: Arc::clone(&self.committer),
            metrics: self.metrics.clone(),
            trouble: self.trouble.clone(),
            one_at_a_time: Arc::clone(&self.one_taking_at_a_time),
            taken: taken.clone(),
        }
    }

    fn want(&mut self, assignments: Vec<Assignment>) -> Vec<Wanted> {
        let want = |assignment: Assignment| {
            let revoked = CancellationToken::new();
            let (number, revoke) = (assignment.number, revoked.clone().drop_guard());
            let held = Held { number, lag: 0, taken: false, _revoke: revoke };
            self.held.insert(assignment.partition, held);
            Wanted { assignment, revoked }
        };
        assignments.into_iter().map(want).collect()
    }

    /// A partition was taken over, or was not.
    fn take(&mut self, taken: Taken) -> Result<(), ProcessorError> {
        match taken {
            Taken::Restored(assignment, restored) => match self.held.get_mut(&assignment.partition) {
                Some(held) if held.number == assignment.number => {
                    held.taken = true;
                    self.tell(Turn::Taken(assignment, restored));
                }
                // Taken away meanwhile.
                None => self.committer.release(&[assignment.partition]),
                // Taken away and given back: it is being taken over once more.
                Some(_) => {}
            },
            Taken::Lost(assignment, reason) if self.is_wanted(assignment) => self.lose(assignment.partition, &reason),
            Taken::Lost(..) => {}
            Taken::Failed(error) => return Err(error),
        }
        Ok(())
    }

    fn let_go(&mut self, partitions: &[u32]) {
        self.held.retain(|partition, _| !partitions.contains(partition));
        self.committer.release(partitions);
        self.show_lag();
    }

    fn set_lag(&mut self, assignment: Assignment, lag: u64) {
        if self.is_wanted(assignment)
            && let Some(held) = self.held.get_mut(&assignment.partition)
        {
            held.lag = lag;
        }
    }

    fn show_lag(&self) {
        let lag: u64 = self.held.values().map(|held| held.lag).sum();
        self.progress.set_lag(lag);
        self.metrics.lag.set(i64::try_from(lag).unwrap_or(i64::MAX));
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
            let Some(results) = trouble.patiently("a commit", self.committer.commit(&commits)).await else {
                return Ok(false);
            };
            let mut failure = None;
            let mut failed = Vec::new();
            for (mut commit, result) in commits.into_iter().zip(results) {
                match result {
                    Ok(()) => {
                        self.metrics.commits.inc();
                        self.anomaly_log.committed(&commit.outputs);
                    }
                    Err(error) if error.class() == ErrorClass::Fenced => self.lose(commit.partition, &chain(&error)),
                    Err(error)
                        if error.class() == ErrorClass::DeadLetter
                            && oversize::cut_largest(&mut commit, &self.dead_letters) =>
                    {
                        self.metrics.oversized.inc();
                        failed.push(commit);
                    }
                    Err(error) => {
                        failed.push(commit);
                        failure = Some(error);
                    }
                }
            }
            commits = failed;
            let Some(error) = failure else { continue };
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
            if let Some(lag) = lag {
                self.set_lag(assignment, lag);
            }
        }
        Ok(true)
    }

    fn is_wanted(&self, Assignment { partition, number }: Assignment) -> bool {
        self.held.get(&partition).is_some_and(|held| held.number == number)
    }

    fn is_held(&self, assignment: Assignment) -> bool {
        self.is_wanted(assignment) && self.held.get(&assignment.partition).is_some_and(|held| held.taken)
    }

    fn lose(&mut self, partition: u32, error: &str) {
        let Some(Held { number, .. }) = self.held.remove(&partition) else { return };
        tracing::warn!(partition, error, "somebody else holds the partition: letting go of it");
        self.committer.release(&[partition]);
        self.tell(Turn::Lost(Assignment { partition, number }));
    }

    fn tell(&self, turn: Turn) {
        // Nobody listens any more when the processor ends.
        self.turns.send(turn).unwrap_or_default();
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
