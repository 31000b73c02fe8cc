//! Verdicts on events.

use std::sync::Arc;

use pulse_core::Matrix;
use pulse_features::{Fault, Need};
use pulse_scoring::Model;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::problem::Problem;
use crate::served::{ModelInForce, ServedUseCase};

/// The verdict on one event.
#[derive(Debug, Serialize)]
pub(crate) struct Prediction {
    #[serde(flatten)]
    pub(crate) verdict: Verdict,
    pub(crate) threshold: f64,
    pub(crate) model_version: Arc<str>,
}

/// What is said of one event.
#[derive(Debug, Serialize)]
pub(crate) struct Verdict {
    pub(crate) is_anomaly: bool,
    pub(crate) score: f64,
    #[serde(serialize_with = "as_map")]
    contributions: Vec<(String, f64)>,
}

/// Verdicts on many events.
#[derive(Debug, Serialize)]
pub(crate) struct BatchPrediction {
    pub(crate) model_version: Arc<str>,
    pub(crate) threshold: f64,
    /// Number of events that are anomalies.
    pub(crate) anomalies: usize,
    /// Number of events that are not valid.
    pub(crate) invalid: usize,
    pub(crate) predictions: Vec<Row>,
}

/// The answer to one event of many.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    index: usize,
    #[serde(flatten)]
    outcome: Outcome,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Outcome {
    Verdict(Verdict),
    Faults { errors: Vec<Fault> },
}

/// The verdict on `event`.
pub(crate) fn one(use_case: &ServedUseCase, event: &RawValue) -> Result<Prediction, Problem> {
    let ModelInForce { model, places } = use_case.model()?;
    let mut row = Vec::new();
    let decoded = use_case
        .featurizers()
        .with(|featurizer| featurizer.decode(event.get().as_bytes(), Need::Features, &mut row).map(drop));
    decoded.map_err(Problem::invalid_event)?;
    let mut table = Matrix::with_capacity(row.len(), 1);
    table.push(&row);
    let verdict = judge(use_case, &model, &table.select(&places)).next();
    let verdict = verdict.ok_or_else(|| Problem::internal("the model gave no score"))?;
    Ok(Prediction { verdict, threshold: model.threshold(), model_version: Arc::clone(model.version()) })
}

/// The verdicts on `events`. A faulty one does not harm the others.
pub(crate) fn many(use_case: &ServedUseCase, events: &[&RawValue]) -> Result<BatchPrediction, Problem> {
    let ModelInForce { model, places } = use_case.model()?;
    let mut table = Matrix::with_capacity(use_case.featurizers().columns().len(), events.len());
    let decoded: Vec<Result<(), Vec<Fault>>> = use_case.featurizers().with(|featurizer| {
        let mut row = Vec::new();
        let mut decode = |event: &&RawValue| {
            featurizer.decode(event.get().as_bytes(), Need::Features, &mut row)?;
            table.push(&row);
            Ok(())
        };
        events.iter().map(&mut decode).collect()
    });
    let table = table.select(&places);
    let mut verdicts = judge(use_case, &model, &table);
    let mut batch = BatchPrediction {
        model_version: Arc::clone(model.version()),
        threshold: model.threshold(),
        anomalies: 0,
        invalid: 0,
        predictions: Vec::with_capacity(events.len()),
    };
    for (index, decoded) in decoded.into_iter().enumerate() {
        let outcome = match decoded {
            Ok(()) => {
                let verdict = verdicts.next().ok_or_else(|| Problem::internal("the model left out a score"))?;
                batch.anomalies += usize::from(verdict.is_anomaly);
                Outcome::Verdict(verdict)
            }
            Err(errors) => {
                batch.invalid += 1;
                Outcome::Faults { errors }
            }
        };
        batch.predictions.push(Row { index, outcome });
    }
    Ok(batch)
}

/// Scores and explains every row of `table`, whose columns are the model's.
fn judge(use_case: &ServedUseCase, model: &Model, table: &Matrix) -> impl Iterator<Item = Verdict> {
    let (scores, shares) = use_case.explain(model, table);
    scores.into_iter().zip(shares).map(|(score, shares)| {
        let mut contributions: Vec<(String, f64)> = model.columns().iter().cloned().zip(shares).collect();
        contributions.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        Verdict { is_anomaly: score >= model.threshold(), score, contributions }
    })
}

fn as_map<S: Serializer>(pairs: &[(String, f64)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, share)| (name, share)))
}
