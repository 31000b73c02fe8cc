//! What the writer tells Prometheus.

use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, IntCounter, IntGauge, Registry};

/// The writer's metrics.
#[derive(Debug, Clone)]
pub struct Metrics {
    anomalies: IntCounter,
    batches: IntCounter,
    dead_letters: IntCounter,
    cut_letters: IntCounter,
    retries: IntCounter,
    store_seconds: Histogram,
    lag: IntGauge,
}

impl Metrics {
    /// Registers them.
    ///
    /// # Errors
    /// When one of the names is registered already.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let buckets = prometheus::exponential_buckets(0.000_5, 2.0, 14)?;
        let store_seconds = HistogramOpts::new("pulse_writer_store_seconds", "Time to store one batch in the database")
            .buckets(buckets);
        let metrics = Self {
            anomalies: counter("pulse_writer_anomalies_total", "Anomalies stored in the database")?,
            batches: counter("pulse_writer_batches_total", "Batches stored in the database")?,
            dead_letters: counter("pulse_writer_dead_letters_total", "Records that could not be parsed or stored")?,
            cut_letters: counter(
                "pulse_writer_cut_dead_letters_total",
                "Dead letters that were cut, as they are larger than their topic takes",
            )?,
            retries: counter("pulse_writer_retries_total", "Attempts that failed and were made again")?,
            store_seconds: Histogram::with_opts(store_seconds)?,
            lag: IntGauge::new("pulse_writer_lag_records", "Records in the topic that were not read yet")?,
        };
        registry.register(Box::new(metrics.store_seconds.clone()))?;
        registry.register(Box::new(metrics.lag.clone()))?;
        Ok(metrics)
    }

    pub(crate) fn stored(&self, anomalies: u64, took: Duration) {
        self.anomalies.inc_by(anomalies);
        self.batches.inc();
        self.store_seconds.observe(took.as_secs_f64());
    }

    pub(crate) fn dead_letters(&self, count: u64) {
        self.dead_letters.inc_by(count);
    }

    pub(crate) fn dead_letter_cut(&self) {
        self.cut_letters.inc();
    }

    pub(crate) fn retried(&self) {
        self.retries.inc();
    }

    pub(crate) fn lag(&self, records: u64) {
        self.lag.set(i64::try_from(records).unwrap_or(i64::MAX));
    }
}
