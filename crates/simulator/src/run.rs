//! The loop: wait until events are due, make a batch, append it, again.

mod append;
mod batch;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use pulse_core::TimestampMs;
use pulse_core::ports::EventProducer;
use pulse_features::UseCaseDir;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::append::Appender;
use self::batch::Job;
use crate::error::SimulatorError;
use crate::options::{Backpressure, Links, Pace, SimulatorOptions};
use crate::replay::Replay;
use crate::report::SimulatorReport;
use crate::schedule::Schedule;

/// The most events of one append.
const MAX_BATCH: u64 = 4096;
/// At a given pace, the shortest wait between appends: small enough not to show, large enough to batch.
const TICK: Duration = Duration::from_millis(5);

/// Produces events of the use case in `dir` until it has made as many as asked for, or `stop` fires. It continues after
/// the highest sequence number that the topic's last records hold.
///
/// # Errors
/// When the sample or an option has a fault, and when the log fails for good.
pub async fn run<P: EventProducer>(
    mut producer: P,
    dir: &UseCaseDir,
    options: SimulatorOptions,
    links: Links,
    stop: CancellationToken,
) -> Result<SimulatorReport, SimulatorError> {
    check(options.rate)?;
    let (dir, rate, seed) = (dir.clone(), options.anomaly_rate, options.seed);
    let replay = Arc::new(tokio::task::spawn_blocking(move || Replay::new(&dir, rate, seed)).await??);
    if matches!(options.rate, Pace::Speed(_)) && !replay.has_times() {
        return Err(SimulatorError::NoTimes);
    }
    if rate > 0.0 && replay.kinds().next().is_none() {
        warn!(use_case = replay.use_case(), "no kinds of anomalies are configured: none is injected");
    }
    links.metrics.started(options.rate, replay.kinds());
    let mut appender = Appender { producer: &mut producer, replay: &replay, metrics: &links.metrics, stop: &stop };
    let Some(first) = appender.next_sequence().await? else { return Ok(SimulatorReport::default()) };
    info!(topic = replay.topic(), first, "simulator starts");
    let start = options.start.map(Timestamp::as_millisecond);
    let now = links.clock.now().as_millisecond();
    let run = Run {
        schedule: Schedule::new(options.rate, start, now, first),
        began: Instant::now(),
        next: first,
        end: options.events.map_or(u64::MAX, |events| first.saturating_add(events)),
        report: SimulatorReport { next_sequence: first, ..SimulatorReport::default() },
        links: &links,
        appender,
    };
    run.finish().await
}

/// A run under way.
struct Run<'a, P> {
    schedule: Schedule,
    began: Instant,
    /// The next event.
    next: u64,
    /// One more than the last event.
    end: u64,
    report: SimulatorReport,
    links: &'a Links,
    appender: Appender<'a, P>,
}

impl<P: EventProducer> Run<'_, P> {
    async fn finish(mut self) -> Result<SimulatorReport, SimulatorError> {
        let stop = self.appender.stop;
        let mut backpressure = self.links.backpressure.clone();
        while self.next < self.end && !stop.is_cancelled() {
            let room = tokio::select! {
                room = room(&mut backpressure, self.report.events) => room,
                () = stop.cancelled() => break,
            };
            // Whoever processes the events has gone: more of them would only pile up.
            let Some(room) = room else { break };
            let count = self.due(room.min(MAX_BATCH).min(self.end - self.next));
            if count == 0 {
                self.wait(stop).await;
                continue;
            }
            let now = self.links.clock.now().as_millisecond();
            if !self.produce(count, now).await? {
                break;
            }
        }
        info!(events = self.report.events, next = self.report.next_sequence, "simulator stops");
        Ok(self.report)
    }

    /// How many events, at most `limit`, are due now.
    fn due(&self, limit: u64) -> u64 {
        let elapsed = self.began.elapsed();
        let replay = self.appender.replay;
        let is_due = |count: u64| self.schedule.due(self.next + count, replay).is_none_or(|due| due <= elapsed);
        // Due times never fall, so the first that is not due ends the search; half steps find it.
        let (mut low, mut high) = (0, limit);
        while low < high {
            let middle = low + (high - low) / 2;
            if is_due(middle) { low = middle + 1 } else { high = middle }
        }
        low
    }

    async fn wait(&self, stop: &CancellationToken) {
        let due = self.schedule.due(self.next, self.appender.replay).unwrap_or_default();
        let until = (self.began + due).max(Instant::now() + TICK);
        tokio::select! {
            () = tokio::time::sleep_until(until) => {}
            () = stop.cancelled() => {}
        }
    }

    /// Makes and appends the next `count` events; false where it was stopped before they were in the log.
    async fn produce(&mut self, count: u64, now: TimestampMs) -> Result<bool, SimulatorError> {
        let range = self.next..self.next + count;
        let job = Job { replay: Arc::clone(self.appender.replay), schedule: self.schedule.clone(), now, range };
        let Some(tally) = self.appender.append(job).await? else { return Ok(false) };
        self.next += count;
        self.report.events += count;
        self.report.next_sequence = self.next;
        self.report.genuine_outliers += tally.genuine_outliers;
        for (kind, count) in &tally.injected {
            match self.report.injected.get_mut(*kind) {
                Some(sum) => *sum += count,
                None => drop(self.report.injected.insert((*kind).to_owned(), *count)),
            }
        }
        self.links.progress.add(count, tally.injected.values().sum());
        Ok(true)
    }
}

/// Waits until fewer events than allowed are in flight, and says how many more there may be; none when nobody processes
/// them any more.
async fn room(backpressure: &mut Option<Backpressure>, produced: u64) -> Option<u64> {
    let Some(Backpressure { processed, max_in_flight }) = backpressure else { return Some(u64::MAX) };
    let limit = (*max_in_flight).max(1);
    let in_flight = |processed: u64| produced.saturating_sub(processed);
    let processed = *processed.wait_for(|&processed| in_flight(processed) < limit).await.ok()?;
    Some(limit - in_flight(processed))
}

fn check(pace: Pace) -> Result<(), SimulatorError> {
    let (what, value) = match pace {
        Pace::Max => return Ok(()),
        Pace::PerSecond(rate) => ("the rate", rate),
        Pace::Speed(speed) => ("the speed", speed),
    };
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(SimulatorError::Option { what, value, range: "a number above 0" })
}

#[cfg(test)]
mod tests;
