//! Commits that are under way, beside those of other partitions.

use std::collections::HashMap;
use std::sync::Arc;

use pulse_core::ports::{Commit, Committer};
use pulse_core::{Classify as _, ErrorClass};
use pulse_runtime::chain;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::commit::{Assignment, Turnstile};
use crate::metrics::{Metrics, Stage};
use crate::oversize;
use crate::retry::{Next, Retry};
use crate::run::ProcessorError;
use crate::trouble::Trouble;

/// What is to be committed of a partition.
pub(crate) struct Ready {
    pub(crate) assignment: Assignment,
    pub(crate) commit: Commit,
    /// Fires when the partition is held no longer.
    pub(crate) revoked: CancellationToken,
    pub(crate) turnstile: Turnstile,
}

/// What became of commits.
pub(crate) enum Settled {
    Committed(Vec<(Assignment, Commit)>),
    /// Somebody else holds the partition; why we think so.
    Lost(Assignment, String),
    /// We were told to give up.
    GivenUp(Assignment),
    Failed(ProcessorError),
}

/// Commits, however long that takes, and tells of each partition as soon as it is done.
pub(crate) struct Committing<C> {
    pub(crate) committer: Arc<C>,
    pub(crate) metrics: Metrics,
    pub(crate) trouble: Trouble,
    /// The topic of what is too large for any other.
    pub(crate) dead_letters: Arc<str>,
    pub(crate) settled: mpsc::UnboundedSender<Settled>,
}

/// What is known of a partition besides its commit.
struct Of {
    assignment: Assignment,
    revoked: CancellationToken,
}

impl<C: Committer> Committing<C> {
    pub(crate) async fn run(self, mut ready: Vec<Ready>) {
        // In one order, as others do.
        ready.sort_unstable_by_key(|ready| ready.assignment.partition);
        let (mut of, mut commits, mut turns) = (HashMap::new(), Vec::new(), Vec::new());
        for Ready { assignment, commit, revoked, turnstile } in ready {
            turns.push(turnstile.lock_owned().await);
            of.insert(assignment.partition, Of { assignment, revoked });
            commits.push(commit);
        }
        let _timer = self.metrics.time(Stage::Commit);
        let mut retry = Retry::new("commit", &self.metrics, &self.trouble);
        loop {
            // An attempt must not meet who holds the partition after us.
            commits.retain(|commit: &Commit| !of[&commit.partition].revoked.is_cancelled());
            if commits.is_empty() {
                return;
            }
            let Some(results) = self.trouble.patiently("a commit", self.committer.commit(&commits)).await else {
                return self.give_up(&commits, &of);
            };
            let (mut committed, mut failed, mut failure) = (Vec::new(), Vec::new(), None);
            for (mut commit, result) in commits.into_iter().zip(results) {
                let Of { assignment, revoked } = &of[&commit.partition];
                match result {
                    Ok(()) => committed.push((*assignment, commit)),
                    // Whatever it was, it was of somebody who holds the partition no longer.
                    Err(_) if revoked.is_cancelled() => {}
                    Err(error) if error.class() == ErrorClass::Fenced => {
                        self.tell(Settled::Lost(*assignment, chain(&error)));
                    }
                    Err(error)
                        if error.class() == ErrorClass::DeadLetter
                            && oversize::cut_largest(&mut commit, error.too_large_for(), &self.dead_letters) =>
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
            self.tell(Settled::Committed(committed));
            commits = failed;
            let Some(error) = failure else { continue };
            let gone = async {
                for of in of.values() {
                    of.revoked.cancelled().await;
                }
            };
            let next = tokio::select! {
                next = retry.after(error) => next,
                // Whoever takes it over waits for our end.
                () = gone => return,
            };
            match next {
                Ok(Next::Again) => {}
                Ok(Next::GiveUp) => return self.give_up(&commits, &of),
                Err(error) => return self.tell(Settled::Failed(ProcessorError::Commit(Box::new(error)))),
            }
        }
    }

    fn give_up(&self, commits: &[Commit], of: &HashMap<u32, Of>) {
        commits.iter().for_each(|commit| self.tell(Settled::GivenUp(of[&commit.partition].assignment)));
    }

    fn tell(&self, settled: Settled) {
        // Nobody listens any more when the processor ends.
        self.settled.send(settled).unwrap_or_default();
    }
}
