//! The processor's metrics. `docs/specs/telemetry.md` says what they mean.

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    exponential_buckets,
};
use pulse_core::{Severity, TimestampMs, UseCase};
use pulse_pipeline::{Counts, DETECTOR_FOREST, DETECTOR_ROLLING, Judged, Outcome, Plan};

use crate::use_case_metrics::UseCaseMetrics;

/// Metrics of one processor.
#[derive(Debug, Clone)]
pub struct Metrics {
    events: IntCounterVec,
    anomalies: IntCounterVec,
    detections: IntCounterVec,
    latency: Histogram,
    stage: HistogramVec,
    pub(crate) lag: IntGauge,
    pub(crate) partitions: IntGauge,
    restoring: IntGaugeVec,
    pub(crate) entities: IntGauge,
    pub(crate) forgotten: IntCounter,
    pub(crate) replayed: IntCounter,
    pub(crate) retries: IntCounterVec,
    pub(crate) commits: IntCounter,
    pub(crate) oversized: IntCounter,
    use_case: UseCaseMetrics,
}

const RESTORE_TAKE_OVER: &str = "take_over";
const RESTORE_REPLAY: &str = "replay";

/// Counts a partition whose state is being rebuilt.
#[derive(Debug)]
pub(crate) struct Replaying(IntGauge);

impl Drop for Replaying {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A step whose duration is measured, per batch.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stage {
    /// Validation, derived columns and per-entity detectors.
    Prepare,
    /// The model.
    Score,
    /// Decision and writing records.
    Judge,
    /// The transaction.
    Commit,
}

impl Metrics {
    /// Registers them, and those that `use_case` has under its own prefix.
    ///
    /// # Errors
    /// When one is registered already.
    pub fn new(registry: &Registry, use_case: &UseCase, plan: &Plan) -> prometheus::Result<Self> {
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let metric = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(metric.clone()))?;
            prometheus::Result::Ok(metric)
        };
        let counter = |name: &str, help: &str| {
            let metric = IntCounter::new(name, help)?;
            registry.register(Box::new(metric.clone()))?;
            prometheus::Result::Ok(metric)
        };
        let gauge = |name: &str, help: &str| {
            let metric = IntGauge::new(name, help)?;
            registry.register(Box::new(metric.clone()))?;
            prometheus::Result::Ok(metric)
        };
        let latency = HistogramOpts::new(
            "pulse_processor_latency_seconds",
            "Time from the creation of an event's record to its committed verdict.",
        );
        let latency = Histogram::with_opts(latency.buckets(exponential_buckets(0.001, 2.0, 16)?))?;
        registry.register(Box::new(latency.clone()))?;
        let stage =
            HistogramOpts::new("pulse_processor_stage_seconds", "Duration of a step of the processor, per batch.");
        let stage = HistogramVec::new(stage.buckets(exponential_buckets(0.000_1, 2.0, 15)?), &["stage"])?;
        registry.register(Box::new(stage.clone()))?;
        let metrics = Self {
            restoring: restoring(registry)?,
            events: counters("pulse_processor_events_total", "Records read, by what became of them.", &["result"])?,
            anomalies: counters("pulse_processor_anomalies_total", "Anomalies found, by severity.", &["severity"])?,
            detections: counters(
                "pulse_processor_detections_total",
                "Anomalies for which a detector fired; one anomaly may have several.",
                &["detector"],
            )?,
            retries: counters("pulse_processor_retries_total", "Calls tried again after a failure.", &["operation"])?,
            commits: counter("pulse_processor_commits_total", "Transactions committed.")?,
            oversized: counter(
                "pulse_processor_oversized_total",
                "Anomalies and dead letters too large for their topic: cut, and written to the dead letters.",
            )?,
            replayed: counter("pulse_processor_replayed_events_total", "Events read again to rebuild state.")?,
            lag: gauge("pulse_processor_lag_records", "Records of the assigned partitions that wait to be read.")?,
            partitions: gauge("pulse_processor_partitions", "Partitions assigned.")?,
            entities: gauge("pulse_processor_entities", "Entities with detector state.")?,
            forgotten: counter(
                "pulse_processor_entities_forgotten_total",
                "Entities whose detector state was given up, because there were more than may be remembered.",
            )?,
            latency,
            stage,
            use_case: UseCaseMetrics::new(registry, use_case, plan)?,
        };
        metrics.show_zeros();
        Ok(metrics)
    }

    /// Makes every label value visible from the start, so that a rate over it is 0 rather than absent.
    fn show_zeros(&self) {
        self.count(&Counts::default());
        for operation in ["score", "commit", "restore", "poll"] {
            self.retries.with_label_values(&[operation]);
        }
        for stage in [RESTORE_TAKE_OVER, RESTORE_REPLAY] {
            self.restoring.with_label_values(&[stage]);
        }
        for stage in [Stage::Prepare, Stage::Score, Stage::Judge, Stage::Commit] {
            self.stage.with_label_values(&[stage.as_str()]);
        }
    }

    /// Counts commits that are tried again, for a committer that does so by itself.
    #[must_use]
    pub fn retries_of_commits(&self) -> IntCounter {
        self.retries.with_label_values(&["commit"])
    }

    /// Counts a batch whose results were committed at `now`.
    pub(crate) fn committed(&self, outcome: &Outcome, now: TimestampMs) {
        self.count(&outcome.counts);
        self.observe_latency(&outcome.judged, now);
        self.use_case.count(outcome, now);
    }

    fn count(&self, counts: &Counts) {
        for (result, count) in
            [("judged", counts.judged), ("dead_letter", counts.dead_letters), ("other_use_case", counts.skipped)]
        {
            self.events.with_label_values(&[result]).inc_by(count);
        }
        for (severity, count) in [Severity::Warning, Severity::High, Severity::Critical].iter().zip(counts.anomalies) {
            self.anomalies.with_label_values(&[severity.as_str()]).inc_by(count);
        }
        for (detector, count) in [(DETECTOR_FOREST, counts.by_forest), (DETECTOR_ROLLING, counts.by_rolling)] {
            self.detections.with_label_values(&[detector]).inc_by(count);
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a latency in milliseconds stays far below 2^53")]
    fn observe_latency(&self, judged: &[Judged], now: TimestampMs) {
        let local = self.latency.local();
        for verdict in judged {
            local.observe(now.saturating_sub(verdict.timestamp).max(0) as f64 / 1000.0);
        }
        local.flush();
    }

    /// So many partitions are being taken over.
    pub(crate) fn set_taking_over(&self, partitions: usize) {
        self.restoring.with_label_values(&[RESTORE_TAKE_OVER]).set(i64::try_from(partitions).unwrap_or(i64::MAX));
    }

    /// A partition's state is being rebuilt, until what is given back is dropped.
    pub(crate) fn replaying(&self) -> Replaying {
        let partitions = self.restoring.with_label_values(&[RESTORE_REPLAY]);
        partitions.inc();
        Replaying(partitions)
    }

    pub(crate) fn time(&self, stage: Stage) -> prometheus::HistogramTimer {
        self.stage.with_label_values(&[stage.as_str()]).start_timer()
    }
}

fn restoring(registry: &Registry) -> prometheus::Result<IntGaugeVec> {
    let opts = Opts::new(
        "pulse_processor_restoring_partitions",
        "Partitions assigned that are not judged yet, because they are being taken over, or events are read again to rebuild state.",
    );
    let metric = IntGaugeVec::new(opts, &["stage"])?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

impl Stage {
    fn as_str(self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::Score => "score",
            Self::Judge => "judge",
            Self::Commit => "commit",
        }
    }
}
