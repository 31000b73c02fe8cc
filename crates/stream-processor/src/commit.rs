//! The commit task: everything that is ready, in as few transactions as the log allows.
//!
//! Each partition commits by itself, unless the log has it cheaper together: one that waits for a broker holds up no other.
//! What is judged meanwhile goes into the partition's next commit.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use pulse_core::ports::{Clock, Commit, Committer, Restored, StateRecord};
use pulse_pipeline::Outcome;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::anomaly_log::AnomalyLog;
use crate::committing::{Committing, Ready, Settled};
use crate::load::Load;
use crate::metrics::Metrics;
use crate::progress::Progress;
use crate::reader::at;
use crate::restore::{Taken, Taking, Wanted};
use crate::run::ProcessorError;
use crate::trouble::Trouble;

/// Messages that are taken at once at the most.
const MESSAGES: usize = 64;
/// What waits for the commit before it, of all partitions, at the most, but for what is on its way. From then on those that have
/// more than their share of it are not read: a partition that stands still holds up no other.
const WAITING: Load = Load { records: 64 * 2048, bytes: 64 << 20 };
/// A commit that takes longer is slow: to have a partition not read costs what was fetched of it, which is not worth it for less.
const SLOW: Duration = Duration::from_millis(250);
/// After this time without news of a partition it is asked how much waits in it, and again and again.
const NO_NEWS: Duration = Duration::from_secs(5);
/// Commit intervals that a partition rests at the most after a commit that took long.
const MOST_REST: u32 = 4;

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

/// What workers tell the commit task.
pub(crate) enum ToCommitter {
    /// Commit this.
    Done(Box<Done>),
    /// So many records wait behind those that are being replayed.
    Replayed(Assignment, u64),
}

/// What the commit task has to do about partitions. It comes before all that is to be committed, and waits for none of it.
pub(crate) enum Order {
    /// Take over partitions.
    Restore(Vec<Assignment>),
    /// Somebody else may take these over from now on.
    HandOver(Vec<u32>),
    /// Commit nothing of these any more.
    Revoke(Vec<u32>),
}

/// What it says of partitions.
pub(crate) enum Turn {
    /// Ours, and how it stands.
    Taken(Assignment, Restored),
    /// Somebody else holds it; why we think so.
    Lost(Assignment, String),
    /// So much of it waits to be committed that no more is to be read for now.
    Full(Assignment),
    /// There is room for more of it.
    Room(Assignment),
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
    /// A partition's commits begin this far from each other at the least.
    pub(crate) interval: Duration,
    /// The partitions that are ours.
    pub(crate) held: HashMap<u32, Held>,
    /// A partition may be taken away and given back while it is being taken over.
    pub(crate) one_taking_at_a_time: Arc<Mutex<()>>,
    /// Of each partition: held by its commit, and by who takes it over, so that no commit outlives its assignment.
    pub(crate) turnstiles: HashMap<u32, Turnstile>,
    pub(crate) anomaly_log: AnomalyLog,
}

/// A partition that is ours, or about to be.
pub(crate) struct Held {
    number: u64,
    /// The first offset that is not committed.
    position: u64,
    /// Records that wait, as far as is known, and since when it is.
    lag: u64,
    lag_at: Instant,
    /// Whether it was taken over.
    taken: bool,
    /// When the last commit began.
    began: Instant,
    /// When the next commit may begin.
    next_at: Instant,
    /// What is being committed.
    under_way: Vec<Done>,
    /// What is to be committed next.
    waiting: Vec<Done>,
    /// How much that is.
    load: Load,
    /// Whether no more of it is to be read for now.
    is_full: bool,
    /// Fires when it is held no longer.
    revoked: CancellationToken,
    _revoke: DropGuard,
}

/// Lets one through at a time.
pub(crate) type Turnstile = Arc<Mutex<()>>;

impl Held {
    fn is_ready(&self) -> bool {
        self.under_way.is_empty() && !self.waiting.is_empty()
    }

    /// Whether what is being committed takes long.
    fn is_slow(&self) -> bool {
        !self.under_way.is_empty() && self.began.elapsed() >= SLOW
    }

    fn push(&mut self, done: Done) {
        self.load = [self.load, Load::of(&done)].into_iter().sum();
        self.waiting.push(done);
    }

    fn set_lag(&mut self, lag: u64) {
        (self.lag, self.lag_at) = (lag, Instant::now());
    }

    fn is_without_news(&self) -> bool {
        self.taken && self.lag_at.elapsed() >= NO_NEWS
    }
}

impl<C: Committer> CommitTask<C> {
    /// Commits until all senders are gone and nothing is left.
    pub(crate) async fn run(
        mut self,
        mut orders: mpsc::UnboundedReceiver<Order>,
        mut inbox: mpsc::Receiver<ToCommitter>,
    ) -> Result<(), ProcessorError> {
        let (tell_taken, mut taken) = mpsc::unbounded_channel();
        let (tell_settled, mut settled) = mpsc::unbounded_channel();
        let (mut taking, mut committing, mut asking) = (JoinSet::new(), JoinSet::new(), JoinSet::new());
        let mut looks = tokio::time::interval(NO_NEWS);
        let mut messages = Vec::with_capacity(MESSAGES);
        let mut is_open = true;
        loop {
            // Before the end nothing is put off.
            let now = is_open.then(Instant::now);
            for commits in self.ready(now) {
                committing.spawn(self.committing(&tell_settled).run(commits));
            }
            self.make_room();
            let next_at = self.next_at();
            if !is_open && self.held.values().all(|held| held.under_way.is_empty()) {
                return Ok(());
            }
            tokio::select! {
                biased;
                Some(order) = orders.recv() => {
                    if let Some(assignments) = self.obey(order) {
                        taking.spawn(self.taking(&tell_taken).run(self.want(assignments)));
                    }
                }
                Some(taken) = taken.recv() => self.take(taken)?,
                Some(settled) = settled.recv() => self.settle(settled)?,
                () = at(next_at) => {}
                _ = looks.tick(), if asking.is_empty() => {
                    let silent = self.without_news();
                    if !silent.is_empty() {
                        asking.spawn(ends(Arc::clone(&self.committer), silent));
                    }
                }
                Some(asked) = asking.join_next() => self.hear_ends(&asked.map_err(ProcessorError::Panic)?),
                Some(ended) = taking.join_next() => ended.map_err(ProcessorError::Panic)?,
                Some(ended) = committing.join_next() => ended.map_err(ProcessorError::Panic)?,
                received = inbox.recv_many(&mut messages, MESSAGES), if is_open => {
                    is_open = received > 0;
                    messages.drain(..).for_each(|message| self.hear(message));
                }
            }
            self.show_lag();
        }
    }

    /// Does what it has to, but for partitions that are to be taken over: those it gives back.
    fn obey(&mut self, order: Order) -> Option<Vec<Assignment>> {
        match order {
            Order::Restore(assignments) => return Some(assignments),
            Order::HandOver(partitions) => self.committer.hand_over(&partitions),
            Order::Revoke(partitions) => self.let_go(&partitions),
        }
        None
    }

    fn hear(&mut self, message: ToCommitter) {
        match message {
            ToCommitter::Done(done) => {
                // What was judged when it was ours is dropped.
                if let Some(held) = self.current(done.assignment).filter(|held| held.taken) {
                    held.push(*done);
                }
            }
            ToCommitter::Replayed(assignment, lag) => self.set_lag(assignment, lag),
        }
    }

    /// How much waits.
    fn waiting(&self) -> Load {
        self.held.values().map(|held| held.load).sum()
    }

    /// Once too much waits, has no more read of the partitions that have more than their share of it while their commit takes long,
    /// each until what it has is being committed.
    fn make_room(&mut self) {
        let (is_crowded, share) = (self.waiting().reaches(WAITING), WAITING.share(self.held.len()));
        let mut turns = Vec::new();
        for (&partition, held) in &mut self.held {
            let was_full = held.is_full;
            held.is_full = if was_full {
                !held.waiting.is_empty()
            } else {
                is_crowded && held.load.reaches(share) && held.is_slow()
            };
            if held.is_full != was_full {
                let assignment = Assignment { partition, number: held.number };
                turns.push(if was_full { Turn::Room(assignment) } else { Turn::Full(assignment) });
            }
        }
        turns.into_iter().for_each(|turn| self.tell(turn));
    }

    /// When the next commit begins, as far as is known.
    fn next_at(&self) -> Option<Instant> {
        self.held.values().filter(|held| held.is_ready()).map(|held| held.next_at).min()
    }

    /// What is ready to be committed at `now`, or at all; one call for each.
    fn ready(&mut self, now: Option<Instant>) -> Vec<Vec<Ready>> {
        let mut ready = Vec::new();
        for (&partition, held) in &mut self.held {
            if held.is_ready() && (held.is_full || now.is_none_or(|now| held.next_at <= now)) {
                held.began = Instant::now();
                held.next_at = held.began + self.interval;
                std::mem::swap(&mut held.under_way, &mut held.waiting);
                held.load = Load::default();
                ready.push(Ready {
                    assignment: Assignment { partition, number: held.number },
                    commit: merge(partition, &mut held.under_way),
                    revoked: held.revoked.clone(),
                    turnstile: Arc::clone(self.turnstiles.entry(partition).or_default()),
                });
            }
        }
        if C::TOGETHER && !ready.is_empty() {
            vec![ready]
        } else {
            ready.into_iter().map(|commit| vec![commit]).collect()
        }
    }

    fn committing(&self, settled: &mpsc::UnboundedSender<Settled>) -> Committing<C> {
        Committing {
            committer: Arc::clone(&self.committer),
            metrics: self.metrics.clone(),
            trouble: self.trouble.clone(),
            dead_letters: Arc::clone(&self.dead_letters),
            settled: settled.clone(),
        }
    }

    /// Takes note of what became of commits.
    fn settle(&mut self, settled: Settled) -> Result<(), ProcessorError> {
        match settled {
            Settled::Committed(commits) => {
                let now = self.clock.now().as_millisecond();
                for (assignment, commit) in commits {
                    self.metrics.commits.inc();
                    self.anomaly_log.committed(&commit.outputs);
                    self.count(assignment, now);
                }
            }
            Settled::Lost(assignment, reason) => self.lose(assignment, reason),
            Settled::Failed(error) => return Err(error),
            Settled::GivenUp(assignment) => {
                // What follows must not be committed without it.
                if self.current(assignment).is_some() {
                    self.held.remove(&assignment.partition);
                }
            }
        }
        Ok(())
    }

    /// Counts what was just committed of a partition.
    fn count(&mut self, assignment: Assignment, now: i64) {
        let interval = self.interval;
        let Some(held) = self.current(assignment) else { return };
        held.next_at = next_commit(held.began, Instant::now(), interval);
        let committed = std::mem::take(&mut held.under_way);
        held.position = committed.last().map_or(held.position, |done| done.next_offset);
        if let Some(lag) = committed.iter().rev().find_map(|done| done.lag) {
            held.set_lag(lag);
        }
        for done in committed {
            self.metrics.committed(&done.outcome, now);
            self.progress.committed(&done.outcome.counts, &done.outcome.judged, now);
        }
    }

    fn taking(&self, taken: &mpsc::UnboundedSender<Taken>) -> Taking<C> {
        Taking {
            committer: Arc::clone(&self.committer),
            metrics: self.metrics.clone(),
            trouble: self.trouble.clone(),
            one_at_a_time: Arc::clone(&self.one_taking_at_a_time),
            taken: taken.clone(),
        }
    }

    fn want(&mut self, assignments: Vec<Assignment>) -> Vec<Wanted> {
        let partitions: Vec<u32> = assignments.iter().map(|assignment| assignment.partition).collect();
        // Ends what is under way for an assignment before.
        self.let_go(&partitions);
        let want = |assignment: Assignment| {
            let revoked = CancellationToken::new();
            let held = Held {
                number: assignment.number,
                position: 0,
                lag: 0,
                lag_at: Instant::now(),
                taken: false,
                began: Instant::now(),
                next_at: Instant::now(),
                under_way: Vec::new(),
                waiting: Vec::new(),
                load: Load::default(),
                is_full: false,
                revoked: revoked.clone(),
                _revoke: revoked.clone().drop_guard(),
            };
            self.held.insert(assignment.partition, held);
            let turnstile = Arc::clone(self.turnstiles.entry(assignment.partition).or_default());
            Wanted { assignment, revoked, turnstile }
        };
        assignments.into_iter().map(want).collect()
    }

    /// A partition was taken over, or was not.
    fn take(&mut self, taken: Taken) -> Result<(), ProcessorError> {
        match taken {
            Taken::Restored(assignment, restored) => match self.held.get_mut(&assignment.partition) {
                Some(held) if held.number == assignment.number => {
                    (held.taken, held.position) = (true, restored.start);
                    self.tell(Turn::Taken(assignment, restored));
                }
                // Taken away meanwhile.
                None => self.committer.release(&[assignment.partition]),
                // Taken away and given back: it is being taken over once more.
                Some(_) => {}
            },
            Taken::Lost(assignment, reason) => self.lose(assignment, reason),
            Taken::Failed(error) => return Err(error),
        }
        Ok(())
    }

    fn let_go(&mut self, partitions: &[u32]) {
        self.held.retain(|partition, _| !partitions.contains(partition));
        self.committer.release(partitions);
    }

    fn set_lag(&mut self, assignment: Assignment, lag: u64) {
        if let Some(held) = self.current(assignment) {
            held.set_lag(lag);
        }
    }

    /// The partitions of which nothing was heard for a while.
    fn without_news(&self) -> Vec<Assignment> {
        let silent = self.held.iter().filter(|(_, held)| held.is_without_news());
        silent.map(|(&partition, held)| Assignment { partition, number: held.number }).collect()
    }

    fn hear_ends(&mut self, ends: &[(Assignment, u64)]) {
        for &(assignment, end) in ends {
            if let Some(held) = self.current(assignment).filter(|held| held.is_without_news()) {
                held.set_lag(end.saturating_sub(held.position));
            }
        }
    }

    fn show_lag(&self) {
        let lag: u64 = self.held.values().map(|held| held.lag).sum();
        self.progress.set_lag(lag);
        self.metrics.lag.set(i64::try_from(lag).unwrap_or(i64::MAX));
    }

    /// The partition, unless it is ours no longer, or anew.
    fn current(&mut self, Assignment { partition, number }: Assignment) -> Option<&mut Held> {
        self.held.get_mut(&partition).filter(|held| held.number == number)
    }

    fn lose(&mut self, assignment: Assignment, reason: String) {
        if self.current(assignment).is_some() {
            self.let_go(&[assignment.partition]);
            self.tell(Turn::Lost(assignment, reason));
        }
    }

    fn tell(&self, turn: Turn) {
        // Nobody listens any more when the processor ends.
        self.turns.send(turn).unwrap_or_default();
    }
}

/// Where partitions end, as far as that is known.
async fn ends<C: Committer>(committer: Arc<C>, assignments: Vec<Assignment>) -> Vec<(Assignment, u64)> {
    let partitions: Vec<u32> = assignments.iter().map(|assignment| assignment.partition).collect();
    let ends: BTreeMap<u32, u64> = committer.ends(&partitions).await;
    assignments.into_iter().filter_map(|assignment| Some((assignment, *ends.get(&assignment.partition)?))).collect()
}

/// When the commit behind one that took from `began` to `ended` may begin: it rests for as long as that took, so that brokers which
/// are slow get fewer of them, but not for long.
fn next_commit(began: Instant, ended: Instant, interval: Duration) -> Instant {
    let rest = ended.saturating_duration_since(began).min(interval * MOST_REST);
    (began + interval).max(ended + rest)
}

/// One commit of all that was done in a partition, outputs in order; a later snapshot replaces the values of an earlier one.
fn merge(partition: u32, done: &mut [Done]) -> Commit {
    let mut commit = Commit { partition, ..Commit::default() };
    for done in done {
        commit.next_offset = done.next_offset;
        commit.outputs.append(&mut done.outcome.outputs);
        commit.state.append(&mut done.state);
    }
    commit
}

#[cfg(test)]
mod tests;
