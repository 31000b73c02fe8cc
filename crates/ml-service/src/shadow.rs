//! A candidate that scores beside the model in force, so that the difference is seen before it is put in force.
//!
//! # Invariants
//! - Nobody who asks waits for the candidate: what it is too slow for is left out, and counted.
//! - What it says changes no answer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts};
use pulse_core::Matrix;
use pulse_scoring::Model;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

/// Batches that wait for the candidate at the most.
const WAITING: usize = 64;
/// Bounds of the buckets of how far two scores are from each other.
const BUCKETS: [f64; 8] = [0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25];

/// The place of the candidate of one use case. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Shadow(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    use_case: String,
    comparison: Mutex<Option<Arc<Comparison>>>,
    batches: mpsc::Sender<Batch>,
    /// For whoever works.
    inbox: Mutex<Option<mpsc::Receiver<Batch>>>,
}

/// A candidate, and how it compares so far.
#[derive(Debug)]
struct Comparison {
    candidate: Arc<Model>,
    rows: IntCounterVec,
    differences: Histogram,
    skipped: IntCounter,
}

/// Rows that the model in force has scored.
#[derive(Debug)]
struct Batch {
    comparison: Arc<Comparison>,
    rows: Matrix,
    scores: Vec<f64>,
    threshold: f64,
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

impl Shadow {
    pub(crate) fn new(use_case: &str) -> Self {
        let (batches, inbox) = mpsc::channel(WAITING);
        let (comparison, inbox) = (Mutex::new(None), Mutex::new(Some(inbox)));
        Self(Arc::new(Inner { use_case: use_case.to_owned(), comparison, batches, inbox }))
    }

    /// Lets `candidate` score from now on, or nothing. One that is at it goes on.
    pub(crate) fn set(&self, candidate: Option<Arc<Model>>) -> prometheus::Result<()> {
        let compare = |candidate| Comparison::new(&self.0.use_case, candidate).map(Arc::new);
        let mut comparison = self.comparison();
        let same =
            comparison.as_ref().map(|known| known.candidate.version()) == candidate.as_ref().map(|new| new.version());
        if !same {
            *comparison = candidate.map(compare).transpose()?;
        }
        Ok(())
    }

    /// The version of the candidate.
    pub(crate) fn version(&self) -> Option<Arc<str>> {
        self.comparison().as_ref().map(|comparison| Arc::clone(comparison.candidate.version()))
    }

    /// How the candidate compares so far.
    pub(crate) fn summary(&self) -> Option<Summary> {
        self.comparison().as_ref().map(|comparison| comparison.summary())
    }

    /// Takes note of `rows`, which `active` has scored.
    pub(crate) fn observe(&self, active: &Model, rows: &Matrix, scores: &[f64]) {
        let Some(comparison) = self.comparison().clone() else { return };
        // The one in force may be another one by now.
        if comparison.candidate.columns() != active.columns() {
            return;
        }
        let skipped = comparison.skipped.clone();
        match self.0.batches.try_reserve() {
            Ok(place) => {
                let (rows, scores) = (rows.clone(), scores.to_vec());
                place.send(Batch { comparison, rows, scores, threshold: active.threshold() });
            }
            Err(_) => skipped.inc_by(rows.rows() as u64),
        }
    }

    /// Lets the candidate score, until `stop`. There is one at work; a second one returns at once.
    pub(crate) async fn work(&self, stop: &CancellationToken) {
        let Some(mut inbox) = self.0.inbox.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        loop {
            let mut batches = Vec::new();
            tokio::select! {
                _ = inbox.recv_many(&mut batches, WAITING) => {}
                () = stop.cancelled() => return,
            }
            let compared = spawn_blocking(move || batches.into_iter().for_each(Batch::compare)).await;
            if let Err(error) = compared {
                tracing::error!(%error, "a candidate failed to score");
            }
        }
    }

    pub(crate) fn collect(&self) -> Vec<MetricFamily> {
        self.comparison().as_ref().map_or_else(Vec::new, |comparison| comparison.collect())
    }

    /// What is said of any candidate.
    pub(crate) fn desc() -> prometheus::Result<Vec<Desc>> {
        let (rows, differences, skipped) = metrics("", "")?;
        Ok([rows.desc(), differences.desc(), skipped.desc()].concat().into_iter().cloned().collect())
    }

    fn comparison(&self) -> MutexGuard<'_, Option<Arc<Comparison>>> {
        self.0.comparison.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Batch {
    fn compare(self) {
        let candidate = &self.comparison.candidate;
        for (active, score) in self.scores.into_iter().zip(candidate.score(&self.rows).scores) {
            let verdicts = match (active >= self.threshold, score >= candidate.threshold()) {
                (true, true) => "both_anomalies",
                (true, false) => "only_active",
                (false, true) => "only_candidate",
                (false, false) => "neither",
            };
            self.comparison.rows.with_label_values(&[verdicts]).inc();
            self.comparison.differences.observe((score - active).abs());
        }
    }
}

impl Comparison {
    fn new(use_case: &str, candidate: Arc<Model>) -> prometheus::Result<Self> {
        let (rows, differences, skipped) = metrics(use_case, candidate.version())?;
        for verdicts in ["both_anomalies", "only_active", "only_candidate", "neither"] {
            rows.with_label_values(&[verdicts]).inc_by(0);
        }
        Ok(Self { candidate, rows, differences, skipped })
    }

    fn summary(&self) -> Summary {
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

    fn collect(&self) -> Vec<MetricFamily> {
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
