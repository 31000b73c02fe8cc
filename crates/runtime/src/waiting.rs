//! Waiting, at a start, for what is not there yet.

use std::time::Duration;

use pulse_core::ports::PortError;
use pulse_core::{Backoff, ErrorClass};
use tokio::time::Instant;

use crate::chain::chain;
use crate::health::Health;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Between two lines in the log.
const REPEAT_AFTER: Duration = Duration::from_secs(10);

/// Tries `attempt` until it succeeds, with pauses in between, and tells meanwhile, by `health` and in the log, that it
/// waits for `what`, as in `Postgres at localhost:5432`.
///
/// # Errors
/// With the first failure that trying again cannot mend.
pub async fn wait_for<T, E: PortError>(
    health: &Health,
    what: &str,
    mut attempt: impl AsyncFnMut() -> Result<T, E>,
) -> Result<T, E> {
    health.set_not_ready(format!("waiting for {what}"));
    let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
    let mut told: Option<Instant> = None;
    loop {
        let error = match attempt().await {
            Ok(value) => {
                if told.is_some() {
                    tracing::info!("{what} is there");
                }
                return Ok(value);
            }
            Err(error) if error.class() == ErrorClass::Retry => error,
            Err(error) => return Err(error),
        };
        let reason = chain(&error);
        if told.is_none_or(|told| told.elapsed() >= REPEAT_AFTER) {
            tracing::warn!(reason, "waiting for {what}");
            told = Some(Instant::now());
        }
        health.set_not_ready(format!("waiting for {what}: {reason}"));
        tokio::time::sleep(backoff.pause(rand::random())).await;
    }
}

#[cfg(test)]
mod tests {
    use pulse_core::Classify;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("away")]
    struct Away(ErrorClass);

    impl Classify for Away {
        fn class(&self) -> ErrorClass {
            self.0
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_goes_on_when_what_was_missing_comes() {
        let health = Health::starting("starting");
        let mut attempts = 0;
        let waited = wait_for(&health, "the broker", async || {
            attempts += 1;
            if attempts > 3 { Ok(attempts) } else { Err(Away(ErrorClass::Retry)) }
        });
        assert_eq!(waited.await.unwrap(), 4);
        assert_eq!(health.reason().as_deref(), Some("waiting for the broker: away"), "the rest of the start goes on");
    }

    #[tokio::test]
    async fn it_gives_up_where_waiting_is_in_vain() {
        let health = Health::starting("starting");
        let error = wait_for(&health, "the broker", async || Err::<(), _>(Away(ErrorClass::Fatal))).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Fatal);
    }
}
