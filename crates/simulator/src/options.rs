//! What a run of the simulator is told, and what it is connected to.

use std::sync::Arc;

use jiff::Timestamp;
use pulse_core::ports::Clock;
use tokio::sync::watch;

use crate::metrics::Metrics;
use crate::report::Progress;

/// How fast events come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// As fast as the log takes them.
    Max,
    /// So many events a second.
    PerSecond(f64),
    /// So many times as fast as the own time of the sample or the profile.
    Speed(f64),
}

/// What a run does.
#[derive(Debug, Clone, PartialEq)]
pub struct SimulatorOptions {
    /// How fast.
    pub rate: Pace,
    /// How many events this run produces; none means until it is stopped.
    pub events: Option<u64>,
    /// Share of all events that are injected anomalies, in `[0, 1]`.
    pub anomaly_rate: f64,
    /// Seed of all randomness.
    pub seed: u64,
    /// Time of event 0. None lets time begin at now, at every start. With it, the whole log is reproducible byte by byte;
    /// at [`Pace::Max`] events are then 10 µs apart.
    pub start: Option<Timestamp>,
}

/// How far the simulator may run ahead of those who process its events.
#[derive(Debug, Clone)]
pub struct Backpressure {
    /// Number of this run's events that were processed.
    pub processed: watch::Receiver<u64>,
    /// Events produced but not processed at which it waits.
    pub max_in_flight: u64,
}

/// What a run is connected to.
pub struct Links {
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Counts.
    pub metrics: Metrics,
    /// Live numbers for whoever shows them.
    pub progress: Arc<Progress>,
    /// The brake; none lets it run.
    pub backpressure: Option<Backpressure>,
}

impl std::fmt::Debug for Links {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Links").field("progress", &self.progress).finish_non_exhaustive()
    }
}
