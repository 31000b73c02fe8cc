//! What the simulator tells Prometheus, counted per batch.

use prometheus::{Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts, Registry};

use crate::options::Pace;

/// The simulator's metrics.
#[derive(Debug, Clone)]
pub struct Metrics {
    events: IntCounter,
    anomalies_injected: IntCounterVec,
    target_rate: Gauge,
    batch_append_seconds: Histogram,
    append_retries: IntCounter,
}

impl Metrics {
    /// Registers them.
    ///
    /// # Errors
    /// When one of the names is taken.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let buckets = vec![0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];
        let append = HistogramOpts::new("pulse_simulator_batch_append_seconds", "Time to append a batch to the log.");
        let metrics = Self {
            events: IntCounter::new("pulse_simulator_events_total", "Events appended to the log.")?,
            anomalies_injected: IntCounterVec::new(
                Opts::new("pulse_simulator_anomalies_injected_total", "Injected anomalies, by kind."),
                &["kind"],
            )?,
            target_rate: Gauge::new(
                "pulse_simulator_target_rate_events_per_second",
                "Events per second aimed at; 0 when as fast as possible, or at the sample's own pace.",
            )?,
            batch_append_seconds: Histogram::with_opts(append.buckets(buckets))?,
            append_retries: IntCounter::new("pulse_simulator_append_retries_total", "Appends tried again.")?,
        };
        registry.register(Box::new(metrics.events.clone()))?;
        registry.register(Box::new(metrics.anomalies_injected.clone()))?;
        registry.register(Box::new(metrics.target_rate.clone()))?;
        registry.register(Box::new(metrics.batch_append_seconds.clone()))?;
        registry.register(Box::new(metrics.append_retries.clone()))?;
        Ok(metrics)
    }

    pub(crate) fn started<'a>(&self, pace: Pace, kinds: impl Iterator<Item = &'a str>) {
        self.target_rate.set(if let Pace::PerSecond(rate) = pace { rate } else { 0.0 });
        // A kind that never came is a zero, not an absence.
        kinds.for_each(|kind| drop(self.anomalies_injected.with_label_values(&[kind])));
    }

    pub(crate) fn appended<'a>(&self, events: u64, injected: impl Iterator<Item = (&'a str, u64)>, seconds: f64) {
        self.events.inc_by(events);
        injected.for_each(|(kind, count)| self.anomalies_injected.with_label_values(&[kind]).inc_by(count));
        self.batch_append_seconds.observe(seconds);
    }

    pub(crate) fn retried(&self) {
        self.append_retries.inc();
    }
}
