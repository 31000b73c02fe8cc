//! Tries again what may succeed later.

use std::fmt::Display;
use std::time::Duration;

use pulse_core::{Backoff, Classify, ErrorClass};
use pulse_runtime::Health;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// What to do after a failure.
pub(crate) enum Next {
    /// Call again.
    Again,
    /// Told to give up while waiting.
    GiveUp,
}

/// Where trouble shows, and what ends the waiting for its end.
#[derive(Debug, Clone)]
pub(crate) struct Trouble {
    pub(crate) health: Health,
    /// Fires when waiting has become pointless.
    pub(crate) abort: CancellationToken,
}

/// Tries again without end: nothing is dropped while something is away. Dropped, it takes back that anything was wrong.
pub(crate) struct Retry<'a> {
    operation: &'static str,
    metrics: &'a Metrics,
    trouble: &'a Trouble,
    backoff: Backoff,
    failed: bool,
}

impl<'a> Retry<'a> {
    pub(crate) fn new(operation: &'static str, metrics: &'a Metrics, trouble: &'a Trouble) -> Self {
        Self { operation, metrics, trouble, backoff: Backoff::new(FIRST_WAIT, LONGEST_WAIT), failed: false }
    }

    /// Waits until the call that failed with `error` should be made again. An error that trying again cannot mend comes back.
    pub(crate) async fn after<E: Classify + Display>(&mut self, error: E) -> Result<Next, E> {
        if error.class() != ErrorClass::Retry {
            return Err(error);
        }
        self.failed = true;
        self.metrics.retries.with_label_values(&[self.operation]).inc();
        self.trouble.health.set_not_ready(format!("{} fails, trying again: {error}", self.operation));
        let wait = self.backoff.pause(rand::random());
        tracing::warn!(operation = self.operation, %error, wait_ms = wait.as_millis(), "trying again");
        tokio::select! {
            () = self.trouble.abort.cancelled() => Ok(Next::GiveUp),
            () = tokio::time::sleep(wait) => Ok(Next::Again),
        }
    }
}

impl Drop for Retry<'_> {
    fn drop(&mut self) {
        if self.failed && !self.trouble.abort.is_cancelled() {
            self.trouble.health.set_ready();
        }
    }
}
