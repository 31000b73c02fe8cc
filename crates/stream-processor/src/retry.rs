//! Tries again what may succeed later.

use std::fmt::Display;
use std::time::Duration;

use pulse_core::{Classify, ErrorClass};
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

/// Exponential backoff with jitter, without end: nothing is dropped while something is away.
pub(crate) struct Retry<'a> {
    operation: &'static str,
    metrics: &'a Metrics,
    abort: &'a CancellationToken,
    wait: Duration,
}

impl<'a> Retry<'a> {
    pub(crate) fn new(operation: &'static str, metrics: &'a Metrics, abort: &'a CancellationToken) -> Self {
        Self { operation, metrics, abort, wait: FIRST_WAIT }
    }

    /// Waits until the call that failed with `error` should be made again. An error that trying again cannot mend comes back.
    pub(crate) async fn after<E: Classify + Display>(&mut self, error: E) -> Result<Next, E> {
        if error.class() != ErrorClass::Retry {
            return Err(error);
        }
        self.metrics.retries.with_label_values(&[self.operation]).inc();
        tracing::warn!(operation = self.operation, %error, wait_ms = self.wait.as_millis(), "trying again");
        // Half of the wait is certain, the other half is drawn, so that many that failed together do not return together.
        let wait = self.wait / 2 + (self.wait / 2).mul_f64(rand::random::<f64>());
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
        tokio::select! {
            () = self.abort.cancelled() => Ok(Next::GiveUp),
            () = tokio::time::sleep(wait) => Ok(Next::Again),
        }
    }
}
