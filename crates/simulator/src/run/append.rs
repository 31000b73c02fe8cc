//! Brings batches into the log, patiently.

use std::sync::Arc;
use std::time::Duration;

use pulse_core::ports::{EventProducer, PortError};
use pulse_core::{Backoff, ErrorClass, Record, names};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::batch::{Job, Tally};
use crate::error::SimulatorError;
use crate::metrics::Metrics;
use crate::replay::Replay;

/// The first wait after a failure; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(50);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// The log, as the simulator uses it.
pub(super) struct Appender<'a, P> {
    pub(super) producer: &'a mut P,
    pub(super) replay: &'a Arc<Replay>,
    pub(super) metrics: &'a Metrics,
    pub(super) stop: &'a CancellationToken,
}

impl<'a, P: EventProducer> Appender<'a, P> {
    /// Appends the events of `job`, trying again as long as the log says that it may help. None where it was stopped
    /// before they were in the log.
    pub(super) async fn append(&mut self, job: Job) -> Result<Option<Tally<'a>>, SimulatorError> {
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        loop {
            // Made anew for every attempt, which gives the same events: attempts after the first are too rare to keep a copy.
            let (records, truths) = job.clone().make().await?;
            let tally = Tally::of(self.replay, &truths);
            let count = records.len() as u64;
            let began = Instant::now();
            let result = self.producer.append(records).await;
            let seconds = began.elapsed().as_secs_f64();
            let Err(error) = result else {
                let injected = tally.injected.iter().map(|(kind, count)| (*kind, *count));
                self.metrics.appended(count, injected, seconds);
                return Ok(Some(tally));
            };
            self.bear("append events", error)?;
            if !pause(&mut backoff, self.stop).await {
                return Ok(None);
            }
            // The attempt may have come through although it was reported as failed: a second one would double its events.
            let Some(next) = self.next_sequence().await? else { return Ok(None) };
            if next >= job.range.end {
                return Ok(Some(tally));
            }
        }
    }

    /// The sequence number after the last one in the log. It looks at the last record of each partition, so that the topic must be
    /// ours alone: records of others at the ends would hide how far we were, which is warned of. None where it was stopped before that was known.
    pub(super) async fn next_sequence(&mut self) -> Result<Option<u64>, SimulatorError> {
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        loop {
            let error = match self.producer.last_records(self.replay.topic()).await {
                Ok(records) => {
                    let ours = records.iter().filter_map(|record| sequence(record, self.replay.use_case()));
                    let (count, last) = ours.fold((0, None), |(count, last), one| (count + 1, last.max(Some(one))));
                    if count < records.len() {
                        let (topic, others) = (self.replay.topic(), records.len() - count);
                        warn!(
                            topic,
                            others, "others write here, too: give the use case a topic of its own, or events repeat"
                        );
                    }
                    return Ok(Some(last.map_or(0, |last| last.saturating_add(1))));
                }
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

/// The sequence number of a record of ours.
fn sequence(record: &Record, use_case: &str) -> Option<u64> {
    let ours = record.headers.get_str(names::HEADER_USE_CASE) == Some(use_case);
    record.headers.get_str(names::HEADER_SEQUENCE).filter(|_| ours)?.parse().ok()
}

/// Waits before another attempt; false when it was stopped meanwhile.
async fn pause(backoff: &mut Backoff, stop: &CancellationToken) -> bool {
    tokio::select! {
        () = tokio::time::sleep(backoff.pause(rand::random())) => true,
        () = stop.cancelled() => false,
    }
}
