//! Taking partitions over, beside the commits of others.

use std::collections::HashMap;
use std::sync::Arc;

use pulse_core::ports::{Committer, Restored};
use pulse_core::{Classify as _, ErrorClass};
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

use crate::commit::{Assignment, Turnstile};
use crate::metrics::Metrics;
use crate::retry::{Next, Retry};
use crate::run::ProcessorError;
use crate::trouble::Trouble;

/// A partition that is to be taken over.
#[derive(Clone)]
pub(crate) struct Wanted {
    pub(crate) assignment: Assignment,
    /// Fires when it is no longer wanted.
    pub(crate) revoked: CancellationToken,
    pub(crate) turnstile: Turnstile,
}

/// What became of it.
pub(crate) enum Taken {
    Restored(Assignment, Restored),
    /// Somebody else was faster.
    Lost(Assignment, String),
    Failed(ProcessorError),
}

/// Takes partitions over, and tells of each as soon as it is done.
pub(crate) struct Taking<C> {
    pub(crate) committer: Arc<C>,
    pub(crate) metrics: Metrics,
    pub(crate) trouble: Trouble,
    pub(crate) one_at_a_time: Arc<Mutex<()>>,
    pub(crate) taken: mpsc::UnboundedSender<Taken>,
}

impl<C: Committer> Taking<C> {
    /// Tries until each of `wanted` is taken over, lost, or no longer wanted.
    pub(crate) async fn run(self, mut wanted: Vec<Wanted>) {
        let _obstacle = self.trouble.obstacle("taking partitions over");
        let mut retry = Retry::new("restore", &self.metrics, &self.trouble);
        loop {
            let alone = self.one_at_a_time.lock().await;
            // In one order, as commits do.
            wanted.sort_unstable_by_key(|wanted| wanted.assignment.partition);
            let mut turns = HashMap::new();
            for Wanted { assignment, turnstile, .. } in &wanted {
                turns.insert(assignment.partition, Arc::clone(turnstile).lock_owned().await);
            }
            // Right before: who is wanted no longer must fence nobody.
            wanted.retain(|wanted| !wanted.revoked.is_cancelled());
            let partitions: Vec<u32> = wanted.iter().map(|wanted| wanted.assignment.partition).collect();
            if partitions.is_empty() {
                return;
            }
            let mut failure = None;
            let taken = |partition, result: Result<Restored, C::Error>| {
                // What was taken over need not wait for the others.
                turns.remove(&partition);
                let Some(index) = wanted.iter().position(|wanted| wanted.assignment.partition == partition) else {
                    return;
                };
                let Wanted { assignment, revoked, .. } = &wanted[index];
                let assignment = *assignment;
                if revoked.is_cancelled() && result.is_err() {
                    return;
                }
                let told = match result {
                    Ok(restored) => Taken::Restored(assignment, restored),
                    Err(error) if error.class() == ErrorClass::Fenced => Taken::Lost(assignment, error.to_string()),
                    Err(error) => {
                        failure = Some(error);
                        return;
                    }
                };
                wanted.swap_remove(index);
                self.tell(told);
            };
            let restoring =
                self.trouble.patiently("taking partitions over", self.committer.restore(&partitions, taken));
            if restoring.await.is_none() {
                return;
            }
            drop(alone);
            let Some(error) = failure else { return };
            match retry.after(error).await {
                Ok(Next::Again) => {}
                Ok(Next::GiveUp) => return,
                Err(error) => {
                    let partitions = wanted.iter().map(|wanted| wanted.assignment.partition).collect();
                    let failed = ProcessorError::Restore { partitions, source: Box::new(error) };
                    return self.tell(Taken::Failed(failed));
                }
            }
        }
    }

    fn tell(&self, taken: Taken) {
        // A receiver that is gone wants nothing any more.
        self.taken.send(taken).unwrap_or_default();
    }
}
