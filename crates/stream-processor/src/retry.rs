//! Tries again what may succeed later.

use std::time::Duration;

use pulse_core::ports::PortError;
use pulse_core::{Backoff, ErrorClass};
use pulse_runtime::chain;

use crate::metrics::Metrics;
use crate::trouble::{Obstacle, Trouble};

const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// What to do after a failure.
pub(crate) enum Next {
    /// Call again.
    Again,
    /// Told to give up while waiting.
    GiveUp,
}

/// Tries again without end: nothing is dropped while something is away. Dropped, it takes back that anything was wrong.
pub(crate) struct Retry<'a> {
    operation: &'static str,
    metrics: &'a Metrics,
    trouble: &'a Trouble,
    backoff: Backoff,
    obstacle: Option<Obstacle>,
}

impl<'a> Retry<'a> {
    pub(crate) fn new(operation: &'static str, metrics: &'a Metrics, trouble: &'a Trouble) -> Self {
        Self { operation, metrics, trouble, backoff: Backoff::new(FIRST_WAIT, LONGEST_WAIT), obstacle: None }
    }

    /// Waits until the call that failed with `error` should be made again. An error that trying again cannot mend comes back.
    pub(crate) async fn after<E: PortError>(&mut self, error: E) -> Result<Next, E> {
        if error.class() != ErrorClass::Retry {
            return Err(error);
        }
        self.metrics.retries.with_label_values(&[self.operation]).inc();
        let cause = chain(&error);
        let reason = format!("{} fails, trying again: {cause}", self.operation);
        match &self.obstacle {
            Some(obstacle) => obstacle.becomes(reason),
            None => self.obstacle = Some(self.trouble.obstacle(reason)),
        }
        let wait = self.backoff.pause(rand::random());
        tracing::warn!(operation = self.operation, error = cause, wait_ms = wait.as_millis(), "trying again");
        tokio::select! {
            () = self.trouble.abort.cancelled() => Ok(Next::GiveUp),
            () = tokio::time::sleep(wait) => Ok(Next::Again),
        }
    }
}
