//! What the service measures.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

use crate::served::ServedUseCase;
use crate::shadow::Shadow;

/// Bounds of the duration buckets, in seconds: a single verdict takes well under a millisecond, a full batch about a second.
const BUCKETS: [f64; 12] = [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0];

/// The service's metrics.
#[derive(Debug, Clone)]
pub struct Metrics {
    requests: IntCounterVec,
    durations: HistogramVec,
    rows: IntCounterVec,
    anomalies: IntCounterVec,
}

impl Metrics {
    /// Registers them in `registry`.
    ///
    /// # Errors
    /// When one of that name is registered already.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let requests = IntCounterVec::new(
            Opts::new("pulse_ml_requests_total", "Requests answered, by route and status class."),
            &["route", "status"],
        )?;
        let durations = HistogramVec::new(
            HistogramOpts::new("pulse_ml_request_duration_seconds", "Time to answer a request, by route.")
                .buckets(BUCKETS.to_vec()),
            &["route"],
        )?;
        let rows = IntCounterVec::new(Opts::new("pulse_ml_scored_rows_total", "Events scored."), &["use_case"])?;
        let anomalies = IntCounterVec::new(
            Opts::new("pulse_ml_anomalies_total", "Events whose score reached the threshold."),
            &["use_case"],
        )?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(durations.clone()))?;
        registry.register(Box::new(rows.clone()))?;
        registry.register(Box::new(anomalies.clone()))?;
        Ok(Self { requests, durations, rows, anomalies })
    }

    /// Lets the series of `use_cases` and `routes` start at 0, and shows which models are in force.
    pub(crate) fn watch(
        &self,
        registry: &Registry,
        use_cases: &[ServedUseCase],
        routes: &[&str],
    ) -> prometheus::Result<()> {
        for use_case in use_cases {
            self.count_rows(use_case.name(), 0, 0);
        }
        for route in routes {
            for class in ["2xx", "4xx", "5xx"] {
                self.requests.with_label_values(&[*route, class]).inc_by(0);
            }
            self.durations.with_label_values(&[*route]);
        }
        registry.register(Box::new(ModelInfoCollector::new(use_cases.to_vec())?))
    }

    /// A request was answered.
    pub(crate) fn count_request(&self, route: &str, status: u16, seconds: f64) {
        let class = match status {
            100..=199 => "1xx",
            200..=299 => "2xx",
            300..=399 => "3xx",
            400..=499 => "4xx",
            _ => "5xx",
        };
        self.requests.with_label_values(&[route, class]).inc();
        self.durations.with_label_values(&[route]).observe(seconds);
    }

    /// Events were scored.
    pub(crate) fn count_rows(&self, use_case: &str, rows: usize, anomalies: usize) {
        self.rows.with_label_values(&[use_case]).inc_by(rows as u64);
        self.anomalies.with_label_values(&[use_case]).inc_by(anomalies as u64);
    }
}

/// Says which models are in force, how far what they score has drifted, and how their candidates compare: from the slots themselves, so that
/// it cannot lag behind them.
struct ModelInfoCollector {
    use_cases: Vec<ServedUseCase>,
    desc: Vec<Desc>,
}

impl ModelInfoCollector {
    fn new(use_cases: Vec<ServedUseCase>) -> prometheus::Result<Self> {
        let mut desc: Vec<Desc> = Self::gauges()?.iter().flat_map(|gauge| gauge.desc()).cloned().collect();
        desc.extend(Shadow::desc()?);
        Ok(Self { use_cases, desc })
    }

    fn gauges() -> prometheus::Result<[GaugeVec; 7]> {
        let info = Opts::new("pulse_ml_model_info", "1 for the model in force.");
        let rows = Opts::new("pulse_ml_model_trained_rows", "Rows that the model in force was trained on.");
        let trained = Opts::new(
            "pulse_ml_model_trained_timestamp_seconds",
            "When the model in force was trained, since 1970; absent for one that is trained at each start.",
        );
        let threshold = Opts::new("pulse_ml_model_threshold_ratio", "Score from which an event is an anomaly.");
        let drift = |what: &str| {
            format!(
                "Population stability index of {what} that was scored lately against the training rows; above 0.25 it has moved much."
            )
        };
        let feature = Opts::new("pulse_ml_feature_drift_psi_ratio", drift("each column"));
        let score = Opts::new("pulse_ml_score_drift_psi_ratio", drift("the score of what"));
        let window = Opts::new("pulse_ml_drift_rows", "Rows scored lately that the indices of drift are about.");
        Ok([
            GaugeVec::new(info, &["use_case", "version"])?,
            GaugeVec::new(rows, &["use_case"])?,
            GaugeVec::new(trained, &["use_case"])?,
            GaugeVec::new(threshold, &["use_case"])?,
            GaugeVec::new(feature, &["use_case", "column"])?,
            GaugeVec::new(score, &["use_case"])?,
            GaugeVec::new(window, &["use_case"])?,
        ])
    }
}

impl Collector for ModelInfoCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.desc.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Ok([info, rows, trained, threshold, feature_drift, score_drift, drift_rows]) = Self::gauges() else {
            return Vec::new();
        };
        let mut shadow = Vec::new();
        for use_case in &self.use_cases {
            let Some(model) = use_case.slot().model() else { continue };
            let name = use_case.name();
            info.with_label_values(&[name, &**model.version()]).set(1.0);
            rows.with_label_values(&[name]).set(model.trained_rows() as f64);
            threshold.with_label_values(&[name]).set(model.threshold());
            if let Some(at) = use_case.registry().trained_at(model.version()) {
                trained.with_label_values(&[name]).set(at.as_second() as f64);
            }
            if let Some(drift) = model.drift().report() {
                drift_rows.with_label_values(&[name]).set(drift.rows as f64);
                score_drift.with_label_values(&[name]).set(drift.score);
                for (column, index) in model.columns().iter().zip(drift.columns) {
                    feature_drift.with_label_values(&[name, column]).set(index);
                }
            }
            shadow.extend(use_case.shadow().collect());
        }
        let gauges = [info, rows, trained, threshold, feature_drift, score_drift, drift_rows];
        gauges.iter().flat_map(Collector::collect).chain(shadow).collect()
    }
}
