//! Commits that are under way, beside those of other partitions.

use std::collections::HashMap;
use std::sync::Arc;

use pulse_core::ports::{Commit, Committer};
use pulse_core::{Classify as _, ErrorClass};
use pulse_runtime::chain;
use tokio::sync::mpsc;

use crate::commit::Assignment;
use crate::metrics::{Metrics, Stage};
use crate::oversize;
use crate::retry::{Next, Retry};
use crate::run::ProcessorError;
use crate::trouble::Trouble;

/// What became of commits.
pub(crate) enum Settled {
    Committed(Vec<(Assignment, Commit)>),
    /// Somebody else holds the partition; why we think so.
    Lost(Assignment, String),
    Failed(ProcessorError),
    /// We were told to give up.
    GivenUp,
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

impl<C: Committer> Committing<C> {
    pub(crate) async fn run(self, work: Vec<(Assignment, Commit)>) {
        let _timer = self.metrics.time(Stage::Commit);
        let of: HashMap<u32, Assignment> =
            work.iter().map(|(assignment, _)| (assignment.partition, *assignment)).collect();
        let mut commits: Vec<Commit> = work.into_iter().map(|(_, commit)| commit).collect();
        let mut retry = Retry::new("commit", &self.metrics, &self.trouble);
        while !commits.is_empty() {
            let Some(results) = self.trouble.patiently("a commit", self.committer.commit(&commits)).await else {
                return self.tell(Settled::GivenUp);
            };
            let (mut committed, mut failed, mut failure) = (Vec::new(), Vec::new(), None);
            for (mut commit, result) in commits.into_iter().zip(results) {
                let assignment = of[&commit.partition];
                match result {
                    Ok(()) => committed.push((assignment, commit)),
                    Err(error) if error.class() == ErrorClass::Fenced => {
                        self.tell(Settled::Lost(assignment, chain(&error)));
                    }
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
            self.tell(Settled::Committed(committed));
            commits = failed;
            let Some(error) = failure else { continue };
            match retry.after(error).await {
                Ok(Next::Again) => {}
                Ok(Next::GiveUp) => return self.tell(Settled::GivenUp),
                Err(error) => return self.tell(Settled::Failed(ProcessorError::Commit(Box::new(error)))),
            }
        }
    }

    fn tell(&self, settled: Settled) {
        // Nobody listens any more when the processor ends.
        self.settled.send(settled).unwrap_or_default();
    }
}
