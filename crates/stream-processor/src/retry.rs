//! Tries again what may succeed later.

use std::fmt::Display;
use std::time::Duration;

use pulse_core::{Backoff, Classify, ErrorClass};
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

/// Tries again without end: nothing is dropped while something is away.
pub(crate) struct Retry<'a> {
    operation: &'static str,
    metrics: &'a Metrics,
    abort: &'a CancellationToken,
    backoff: Backoff,
}

impl<'a> Retry<'a> {
    pub(crate) fn new(operation: &'static str, metrics: &'a Metrics, abort: &'a CancellationToken) -> Self {
        Self { operation, metrics, abort, backoff: Backoff::new(FIRST_WAIT, LONGEST_WAIT) }
    }

    /// Waits until the call that failed with `error` should be made again. An error that trying again cannot mend comes back.
    pub(crate) async fn after<E: Classify + Display>(&mut self, error: E) -> Result<Next, E> {
        if error.class() != ErrorClass::Retry {
            return Err(error);
        }
        self.metrics.retries.with_label_values(&[self.operation]).inc();
        let wait = self.backoff.pause(rand::random());
        tracing::warn!(operation = self.operation, %error, wait_ms = wait.as_millis(), "trying again");
        tokio::select! {
            () = self.abort.cancelled() => Ok(Next::GiveUp),
            () = tokio::time::sleep(wait) => Ok(Next::Again),
        }
    }
}
