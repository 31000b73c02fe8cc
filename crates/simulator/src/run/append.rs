//! Brings batches into the log, patiently.

use std::sync::Arc;
use std::time::Duration;

use pulse_core::ports::{EventProducer, PortError};
use pulse_core::{Backoff, ErrorClass};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::batch::{Job, Tally};
use super::ends::Ends;
use crate::error::SimulatorError;
use crate::events::Events;
use crate::metrics::Metrics;

/// The first wait after a failure; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(50);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// The log, as the simulator uses it.
pub(super) struct Appender<'a, P> {
    pub(super) producer: &'a mut P,
    pub(super) events: &'a Arc<Events>,
    pub(super) metrics: &'a Metrics,
    pub(super) stop: &'a CancellationToken,
}

impl<'a, P: EventProducer> Appender<'a, P> {
    /// Appends the events of `job`, trying again as long as the log says that it may help. None where it was stopped
    /// before they were in the log.
    pub(super) async fn append(&mut self, job: Job) -> Result<Option<Tally<'a>>, SimulatorError> {
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        let (mut missing, mut whole) = (job.clone(), None);
        loop {
            // Made anew for every attempt, which gives the same events: attempts after the first are too rare to keep a copy.
            let (records, truths) = missing.clone().make().await?;
            let tally: &Tally<'a> = whole.get_or_insert_with(|| Tally::of(self.events, &truths));
            let began = Instant::now();
            let result = self.producer.append(records).await;
            let seconds = began.elapsed().as_secs_f64();
            if let Err(error) = result {
                self.bear("append events", error)?;
                if !pause(&mut backoff, self.stop).await {
                    return Ok(None);
                }
                // Some may have come through, in some partitions: a second attempt would double them.
                let Some(ends) = self.ends().await? else { return Ok(None) };
                missing.numbers = ends.missing(&job.numbers, self.events);
                if !missing.numbers.is_empty() {
                    continue;
                }
            }
            let injected = tally.injected.iter().map(|(kind, count)| (*kind, *count));
            self.metrics.appended(job.numbers.len() as u64, injected, seconds);
            return Ok(whole);
        }
    }

    /// Where the topic's partitions end. None where it was stopped before that was known.
    pub(super) async fn ends(&mut self) -> Result<Option<Ends>, SimulatorError> {
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        loop {
            let error = match Ends::read(self.producer, self.events).await {
                Ok(ends) => return Ok(Some(ends)),
                Err(error) => error,
            };
            self.bear("read the end of the topic", error)?;
            if !pause(&mut backoff, self.stop).await {
                return Ok(None);
            }
        }
    }

    /// Takes an error that a later attempt may mend; any other one is the end.
    fn bear(&self, action: &'static str, error: impl PortError) -> Result<(), SimulatorError> {
        let class = error.class();
        if class != ErrorClass::Retry {
            return Err(SimulatorError::Log { action, source: Box::new(error), class });
        }
        self.metrics.retried();
        warn!(%error, action, "the log failed: trying again");
        Ok(())
    }
}

/// Waits before another attempt; false when it was stopped meanwhile.
async fn pause(backoff: &mut Backoff, stop: &CancellationToken) -> bool {
    tokio::select! {
        () = tokio::time::sleep(backoff.pause(rand::random())) => true,
        () = stop.cancelled() => false,
    }
}
