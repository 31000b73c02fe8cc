//! The loop: wait until events are due, make a batch, append it, again.

mod append;
mod batch;
mod ends;

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
use crate::events::Events;
use crate::options::{Backpressure, Links, Pace, SimulatorOptions};
use crate::report::SimulatorReport;
use crate::schedule::Schedule;

/// The most events of one append. A smaller one than before would miss what an append of the old size left out.
const MAX_BATCH: u64 = 4096;
/// At a given pace, the shortest wait between appends: small enough not to show, large enough to batch.
const TICK: Duration = Duration::from_millis(5);

/// Produces events of the use case in `dir` until it has made as many as asked for, or `stop` fires. It continues after
/// the highest sequence number that the topic's last records hold, and first makes up for those that a cut append left out.
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
    let events = Arc::new(tokio::task::spawn_blocking(move || Events::new(&dir, rate, seed)).await??);
    if matches!(options.rate, Pace::Speed(_)) && !events.has_times() {
        return Err(SimulatorError::NoTimes);
    }
    if rate > 0.0 && events.kinds().next().is_none() {
        warn!(use_case = events.use_case(), "no kinds of anomalies are configured: none is injected");
    }
    links.metrics.started(options.rate, events.kinds());
    let mut appender = Appender { producer: &mut producer, events: &events, metrics: &links.metrics, stop: &stop };
    let Some(ends) = appender.ends().await? else { return Ok(SimulatorReport::default()) };
    let (first, left_out) = (ends.next(), ends.left_out(&events));
    info!(topic = events.topic(), first, left_out = left_out.len(), "simulator starts");
    let start = options.start.map(Timestamp::as_millisecond);
    let now = links.clock.now().as_millisecond();
    let run = Run {
        schedule: Schedule::new(options.rate, start, now, first),
        began: Instant::now(),
        left_out,
        next: first,
        wanted: options.events.unwrap_or(u64::MAX),
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
    /// Earlier events that are not in the log.
    left_out: Vec<u64>,
    /// The next event.
    next: u64,
    /// How many events to make in all.
    wanted: u64,
    report: SimulatorReport,
    links: &'a Links,
    appender: Appender<'a, P>,
}

impl<P: EventProducer> Run<'_, P> {
    async fn finish(mut self) -> Result<SimulatorReport, SimulatorError> {
        let stop = self.appender.stop;
        let mut backpressure = self.links.backpressure.clone();
        while self.report.events < self.wanted && !stop.is_cancelled() {
            let room = tokio::select! {
                room = room(&mut backpressure, self.report.events) => room,
                () = stop.cancelled() => break,
            };
            // Whoever processes the events has gone: more of them would only pile up.
            let Some(room) = room else { break };
            let numbers = self.due(room.min(MAX_BATCH).min(self.wanted - self.report.events));
            if numbers.is_empty() {
                self.wait(stop).await;
                continue;
            }
            let now = self.links.clock.now().as_millisecond();
            if !self.produce(numbers, now).await? {
                break;
            }
        }
        info!(events = self.report.events, next = self.report.next_sequence, "simulator stops");
        Ok(self.report)
    }

    /// The events that are due now, at most `limit`.
    fn due(&mut self, limit: u64) -> Vec<u64> {
        if !self.left_out.is_empty() {
            let count = usize::try_from(limit).unwrap_or(usize::MAX).min(self.left_out.len());
            return self.left_out.drain(..count).collect();
        }
        let elapsed = self.began.elapsed();
        let events = self.appender.events;
        let is_due = |count: u64| self.schedule.due(self.next + count, events).is_none_or(|due| due <= elapsed);
        // Due times never fall, so the first that is not due ends the search; half steps find it.
        let (mut low, mut high) = (0, limit);
        while low < high {
            let middle = low + (high - low) / 2;
            if is_due(middle) { low = middle + 1 } else { high = middle }
        }
        (self.next..self.next + low).collect()
    }

    async fn wait(&self, stop: &CancellationToken) {
        let due = self.schedule.due(self.next, self.appender.events).unwrap_or_default();
        let until = (self.began + due).max(Instant::now() + TICK);
        tokio::select! {
            () = tokio::time::sleep_until(until) => {}
            () = stop.cancelled() => {}
        }
    }

    /// Makes and appends the events with these numbers; false where it was stopped before they were in the log.
    async fn produce(&mut self, numbers: Vec<u64>, now: TimestampMs) -> Result<bool, SimulatorError> {
        let (count, last) = (numbers.len() as u64, numbers.last().copied());
        let job = Job { events: Arc::clone(self.appender.events), schedule: self.schedule.clone(), now, numbers };
        let Some(tally) = self.appender.append(job).await? else { return Ok(false) };
        self.next = self.next.max(last.map_or(0, |last| last + 1));
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
