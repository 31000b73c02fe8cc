//! What is counted of a candidate.

use std::collections::HashMap;
use std::sync::Arc;

use prometheus::core::{Collector as _, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts};
use pulse_scoring::Model;
use serde::Serialize;

/// Bounds of the buckets of how far two scores are from each other.
const BUCKETS: [f64; 8] = [0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25];

/// A candidate, and how it compares so far.
#[derive(Debug)]
pub(super) struct Comparison {
    pub(super) candidate: Arc<Model>,
    rows: IntCounterVec,
    differences: Histogram,
    pub(super) skipped: IntCounter,
}

/// How a candidate compares with the models that were in force meanwhile.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Summary {
    /// Rows that both have scored.
    pub(crate) rows: u64,
    pub(crate) both_anomalies: u64,
    pub(crate) only_active: u64,
    pub(crate) only_candidate: u64,
    /// Mean distance of their scores; none without rows.
    pub(crate) mean_score_difference: Option<f64>,
    /// Rows that the candidate was too slow for.
    pub(crate) skipped_rows: u64,
}

impl Comparison {
    pub(super) fn new(use_case: &str, candidate: Arc<Model>) -> prometheus::Result<Self> {
        let (rows, differences, skipped) = metrics(use_case, candidate.version())?;
        for verdicts in ["both_anomalies", "only_active", "only_candidate", "neither"] {
            rows.with_label_values(&[verdicts]).inc_by(0);
        }
        Ok(Self { candidate, rows, differences, skipped })
    }

    /// What is said of any candidate.
    pub(super) fn desc() -> prometheus::Result<Vec<Desc>> {
        let (rows, differences, skipped) = metrics("", "")?;
        Ok([rows.desc(), differences.desc(), skipped.desc()].concat().into_iter().cloned().collect())
    }

    /// One row was scored by both.
    pub(super) fn count(&self, active: f64, threshold: f64, candidate: f64) {
        let verdicts = match (active >= threshold, candidate >= self.candidate.threshold()) {
            (true, true) => "both_anomalies",
            (true, false) => "only_active",
            (false, true) => "only_candidate",
            (false, false) => "neither",
        };
        self.rows.with_label_values(&[verdicts]).inc();
        self.differences.observe((candidate - active).abs());
    }

    pub(super) fn summary(&self) -> Summary {
        let of = |verdicts| self.rows.with_label_values(&[verdicts]).get();
        let [both_anomalies, only_active, only_candidate] = ["both_anomalies", "only_active", "only_candidate"].map(of);
        let rows = self.differences.get_sample_count();
        Summary {
            rows,
            both_anomalies,
            only_active,
            only_candidate,
            mean_score_difference: (rows > 0).then(|| self.differences.get_sample_sum() / rows as f64),
            skipped_rows: self.skipped.get(),
        }
    }

    pub(super) fn collect(&self) -> Vec<MetricFamily> {
        [self.rows.collect(), self.differences.collect(), self.skipped.collect()].concat()
    }
}

fn metrics(use_case: &str, version: &str) -> prometheus::Result<(IntCounterVec, Histogram, IntCounter)> {
    let labels = HashMap::from([("use_case", use_case), ("version", version)]);
    let labels: HashMap<String, String> = labels.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    let opts = |name: &str, help: &str| Opts::new(name, help).const_labels(labels.clone());
    let rows = opts(
        "pulse_ml_shadow_rows_total",
        "Rows scored by the candidate beside the model in force, by whom they are anomalies for.",
    );
    let differences = opts(
        "pulse_ml_shadow_score_difference_ratio",
        "How far the candidate's score is from that of the model in force.",
    );
    let skipped = opts("pulse_ml_shadow_skipped_rows_total", "Rows that the candidate was too slow for.");
    let differences = HistogramOpts { common_opts: differences, buckets: BUCKETS.to_vec() };
    Ok((IntCounterVec::new(rows, &["verdicts"])?, Histogram::with_opts(differences)?, IntCounter::with_opts(skipped)?))
}
