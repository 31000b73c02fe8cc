//! The loop: read, batch, store.

mod store;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pulse_core::names::dead_letter_topic;
use pulse_core::ports::{AnomalyStore, EventProducer, EventSource, Polled, PortError};
use pulse_core::{Backoff, ErrorClass};
use pulse_runtime::{Health, chain};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::error::WriterError;
use crate::metrics::Metrics;
use crate::options::{WriterOptions, WriterReport};
use crate::pending::Pending;

/// Takes anomalies from `source` into `store` until `stop` fires, and then until the source has been idle once: all
/// that was in the topic before the stop is stored, unless that takes longer than [`WriterOptions::drain`]. With no time
/// to drain, what was read is stored, and nothing more is read.
///
/// # Errors
/// When one of the ports fails for good. What was not stored stays in the log.
pub async fn run<S, A, P>(
    source: S,
    store: A,
    deadletters: P,
    options: WriterOptions,
    metrics: Metrics,
    health: Health,
    stop: CancellationToken,
) -> Result<WriterReport, WriterError>
where
    S: EventSource,
    A: AnomalyStore,
    P: EventProducer,
{
    let backoff = Backoff::new(options.first_pause, options.longest_pause);
    let dead_letter_topic = Arc::from(dead_letter_topic(&options.topic));
    let state = State {
        options,
        metrics,
        health,
        stop,
        backoff,
        troubled: false,
        assigned: BTreeSet::new(),
        drain_until: None,
        report: WriterReport::default(),
    };
    let mut writer = Writer {
        source,
        store,
        deadletters,
        dead_letter_topic,
        state,
        pending: Pending::default(),
        lags: BTreeMap::new(),
    };
    match writer.run().await {
        Ok(()) => writer.state.report.drained = true,
        Err(End::Failed(error)) => return Err(error),
        Err(End::OutOfTime) => {
            tracing::warn!("the writer was stopped before all was stored: the next run goes on there");
        }
    }
    Ok(writer.state.report)
}

/// A run of the writer.
struct Writer<S, A, P> {
    source: S,
    store: A,
    deadletters: P,
    dead_letter_topic: Arc<str>,
    state: State,
    pending: Pending,
    /// Records not read yet, by partition.
    lags: BTreeMap<u32, u64>,
}

/// What does not depend on the ports.
struct State {
    options: WriterOptions,
    metrics: Metrics,
    health: Health,
    stop: CancellationToken,
    backoff: Backoff,
    /// Whether the last attempt failed.
    troubled: bool,
    /// The partitions that are ours.
    assigned: BTreeSet<u32>,
    /// When the time to drain is up; none before the stop.
    drain_until: Option<Instant>,
    report: WriterReport,
}

/// Why a run ends before the source is idle after the stop.
enum End {
    Failed(WriterError),
    OutOfTime,
}

impl From<WriterError> for End {
    fn from(error: WriterError) -> Self {
        Self::Failed(error)
    }
}

impl<S: EventSource, A: AnomalyStore, P: EventProducer> Writer<S, A, P> {
    async fn run(&mut self) -> Result<(), End> {
        loop {
            if self.state.stop.is_cancelled() && self.state.options.drain.is_zero() {
                return self.flush().await;
            }
            // Asked before the poll: only a poll that began after the stop can say that nothing is left.
            let draining = self.state.draining()?;
            match self.poll().await? {
                Some(Polled::Assigned(partitions)) => self.assign(&partitions).await?,
                Some(Polled::Revoked(partitions)) => self.revoke(&partitions),
                Some(Polled::Records(batch)) => {
                    self.lags.insert(batch.partition, batch.lag());
                    self.pending.push(&self.state.options.topic, batch);
                    if self.pending.is_full(self.state.options.batch_records) {
                        self.flush().await?;
                    }
                }
                Some(Polled::Idle) => {
                    self.flush().await?;
                    if draining {
                        return Ok(());
                    }
                }
                None => self.flush().await?,
            }
        }
    }

    /// The next thing from the source; none when something waits that should be stored now.
    async fn poll(&mut self) -> Result<Option<Polled>, End> {
        let options = &self.state.options;
        let most = options.batch_records;
        let until = self.pending.since().map(|since| since + options.linger);
        loop {
            // Polls are cancel safe, so that giving one up loses nothing.
            let polled = match until {
                // A source that always has more would never let the time be up.
                Some(until) if until <= Instant::now() => return Ok(None),
                Some(until) => match timeout_at(until, self.source.poll(most)).await {
                    Ok(polled) => polled,
                    Err(_) => return Ok(None),
                },
                None => self.source.poll(most).await,
            };
            match polled {
                Ok(polled) => {
                    self.state.recovered();
                    return Ok(Some(polled));
                }
                Err(error) => self.state.failed(error, WriterError::Source).await?,
            }
        }
    }

    /// Where the database ends, by partition.
    async fn positions(&mut self) -> Result<Vec<(u32, u64)>, End> {
        loop {
            match self.store.positions(&self.state.options.topic).await {
                Ok(positions) => return Ok(positions),
                Err(error) => self.state.failed(error, WriterError::Store).await?,
            }
        }
    }

    /// Goes on where the database ends.
    async fn assign(&mut self, partitions: &[u32]) -> Result<(), End> {
        let positions = self.positions().await?;
        for &(partition, offset) in positions.iter().filter(|(partition, _)| partitions.contains(partition)) {
            while let Err(error) = self.source.seek(partition, offset).await {
                self.state.failed(error, WriterError::Source).await?;
            }
        }
        self.pending.assign(partitions, &positions);
        self.state.assigned.extend(partitions);
        self.state.recovered();
        self.state.show();
        tracing::info!(partitions = partitions.len(), "the writer goes on where the database ends");
        Ok(())
    }

    /// Lets go of partitions. Another writer may have some of ours, and we the rest.
    fn revoke(&mut self, partitions: &[u32]) {
        tracing::info!(?partitions, "partitions were taken away");
        self.source.pause(partitions);
        self.lags.retain(|partition, _| !partitions.contains(partition));
        self.pending.revoke(partitions);
        self.state.assigned.retain(|partition| !partitions.contains(partition));
        if self.state.assigned.is_empty() {
            self.state.show();
        }
    }

    async fn flush(&mut self) -> Result<(), End> {
        // Before, as to store may take as long as the database is away.
        self.state.metrics.lag(self.lags.values().sum());
        for chunk in self.pending.take() {
            self.store(chunk).await?;
        }
        Ok(())
    }
}

impl State {
    /// Whether the stop has fired; an error once the time to drain is up.
    fn draining(&mut self) -> Result<bool, End> {
        if !self.stop.is_cancelled() {
            return Ok(false);
        }
        let now = Instant::now();
        let until = *self.drain_until.get_or_insert(now + self.options.drain);
        if now < until { Ok(true) } else { Err(End::OutOfTime) }
    }

    /// What failed works again.
    fn recovered(&mut self) {
        self.backoff.reset();
        if std::mem::take(&mut self.troubled) {
            self.show();
        }
    }

    /// Shows that the writer can work, if it has what to work on.
    fn show(&self) {
        if self.assigned.is_empty() {
            self.health.set_not_ready("waiting for partitions");
        } else {
            self.health.set_ready();
        }
    }

    /// Pauses after a failure that may pass; gives up on one that will not.
    async fn failed<E: PortError>(
        &mut self,
        error: E,
        wrap: fn(Box<dyn std::error::Error + Send + Sync>) -> WriterError,
    ) -> Result<(), End> {
        if error.class() != ErrorClass::Retry {
            return Err(wrap(Box::new(error)).into());
        }
        let (pause, reason) = (self.backoff.pause(rand::random()), chain(&error));
        tracing::warn!(reason, pause_ms = pause.as_millis(), "trying again after a pause");
        self.metrics.retried();
        self.troubled = true;
        self.health.set_not_ready(format!("trying again: {reason}"));
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            // The stop cuts one pause short; what comes after it is paced again, until the time to drain is up.
            () = self.stop.cancelled(), if self.drain_until.is_none() => {}
        }
        self.draining().map(|_| ())
    }
}
