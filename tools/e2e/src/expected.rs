//! What must come of a log.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use anyhow::Context as _;
use jiff::Timestamp;
use pulse_core::ports::{Restored, Scores};
use pulse_core::use_case::RollingSettings;
use pulse_core::{Matrix, Record, RecordBatch};
use pulse_features::{Featurizer, Need, UseCaseDir};
use pulse_pipeline::{PartitionPipeline, Plan};
use pulse_scoring::Model;
use serde_json::Value;

/// What the pipeline makes of a log.
#[derive(Debug, Default)]
pub struct Expected {
    /// The anomalies by id, without the one field that may differ between two runs.
    pub anomalies: Vec<Value>,
    /// The dead letters: where each stood, as `topic/partition/offset`, and its reasons.
    pub dead_letters: BTreeMap<String, Value>,
}

/// The model that the ML service trains from the sample; none where there is no forest, or nothing to learn from.
fn model(dir: &UseCaseDir) -> anyhow::Result<Option<Arc<Model>>> {
    if dir.use_case.detectors.forest.is_none() || dir.sample()?.is_none() {
        return Ok(None);
    }
    let slot = pulse_ml_service::ModelSlot::warming_up("training");
    Ok(Some(pulse_ml_service::train_from_sample(dir, &slot)?))
}

/// What the pipeline makes of `log`, in this process, partition by partition.
///
/// # Errors
/// When the use case cannot be used.
pub fn verdicts(dir: &UseCaseDir, log: &[RecordBatch]) -> anyhow::Result<Expected> {
    let model = model(dir)?;
    let featurizer = Featurizer::new(dir)?;
    let plan = Arc::new(Plan::new(dir, &featurizer, model.as_ref().map(|model| model.columns()))?);
    let mut pipelines: HashMap<u32, PartitionPipeline> = HashMap::new();
    let mut expected = Expected::default();
    for batch in log {
        let fresh = || PartitionPipeline::restore(Arc::clone(&plan), featurizer.clone(), &Restored::default()).pipeline;
        let pipeline = pipelines.entry(batch.partition).or_insert_with(fresh);
        let prepared = pipeline.prepare(batch.clone());
        let scores = model.as_ref().map_or_else(Scores::default, |model| model.score(prepared.rows()));
        for output in pipeline.judge(prepared, &scores, Timestamp::UNIX_EPOCH).outputs {
            if output.topic.ends_with(".dlq") {
                let header = |name| output.headers.get_str(name).context("a dead letter without its headers");
                let reasons = serde_json::from_str(header("pulse-reasons")?)?;
                expected.dead_letters.insert(header("pulse-origin")?.to_owned(), reasons);
            } else {
                let mut anomaly: Value = serde_json::from_slice(&output.payload)?;
                anomaly.as_object_mut().and_then(|fields| fields.remove("detected_at")).context("no detected_at")?;
                expected.anomalies.push(anomaly);
            }
        }
    }
    expected.anomalies.sort_by(|a, b| a["id"].as_str().cmp(&b["id"].as_str()));
    Ok(expected)
}

/// The partitions and offsets of the anomalies of `log`, said as plainly as can be: event by event, a list of values for
/// each entity and column, sums over all of them. What is no valid event is known: `dead_letters`.
///
/// # Errors
/// When the use case cannot be used.
pub fn flagged(
    dir: &UseCaseDir,
    log: &[RecordBatch],
    dead_letters: &BTreeMap<String, Value>,
) -> anyhow::Result<BTreeSet<(u32, u64)>> {
    let model = model(dir)?;
    let mut featurizer = Featurizer::new(dir)?;
    let names: Vec<String> = featurizer.columns().iter().map(|column| column.name.clone()).collect();
    let place = |name: &String| names.iter().position(|known| known == name).context("an unknown column");
    let (forest, rolling) = (&dir.use_case.detectors.forest, &dir.use_case.detectors.rolling);
    let watched = rolling.as_ref().and_then(|rolling| rolling.features.as_ref()).unwrap_or(&names);
    let watched: Vec<usize> = watched.iter().map(place).collect::<Result<_, _>>()?;
    let mut history: HashMap<(u32, String, usize), Vec<f64>> = HashMap::new();
    let mut found = BTreeSet::new();
    for (partition, record) in log.iter().flat_map(|batch| batch.records.iter().map(|record| (batch.partition, record)))
    {
        if dead_letters.contains_key(&format!("{}/{partition}/{}", dir.use_case.topic, record.offset)) {
            continue;
        }
        let Some((entity, row)) = event(&mut featurizer, dir, record) else { continue };
        let mut is_anomaly = false;
        if let (Some(model), Some(settings)) = (&model, forest) {
            let wanted: Vec<usize> = model.columns().iter().map(place).collect::<Result<_, _>>()?;
            let mut rows = Matrix::with_capacity(row.len(), 1);
            rows.push(&row);
            let scores = model.score(&rows.select(&wanted));
            is_anomaly |= settings.decides && scores.scores[0] >= scores.threshold;
        }
        for &column in &watched {
            let Some(settings) = rolling else { continue };
            let before = history.entry((partition, entity.clone(), column)).or_default();
            is_anomaly |= deviates(before, row[column], settings) && settings.decides;
            if row[column].is_finite() {
                before.push(row[column]);
            }
        }
        if is_anomaly {
            found.insert((partition, record.offset));
        }
    }
    Ok(found)
}

/// The entity and the columns of an event of ours.
fn event(featurizer: &mut Featurizer, dir: &UseCaseDir, record: &Record) -> Option<(String, Vec<f64>)> {
    if record.headers.get_str("pulse-use-case").is_some_and(|name| name != dir.use_case.name) {
        return None;
    }
    let mut row = Vec::new();
    featurizer.decode(&record.payload, Need::Event, &mut row).ok()?;
    Some((String::from_utf8(record.key.as_ref()?.to_vec()).ok()?, row))
}

/// Whether `value` lies `threshold` population standard deviations from the mean of the last `window` of `before`.
#[expect(clippy::cast_precision_loss, reason = "a window is short")]
fn deviates(before: &[f64], value: f64, settings: &RollingSettings) -> bool {
    let window = &before[before.len().saturating_sub(settings.window as usize)..];
    if window.len() < settings.min_values as usize || !value.is_finite() {
        return false;
    }
    let mean = window.iter().sum::<f64>() / window.len() as f64;
    let variance = window.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / window.len() as f64;
    let (distance, tolerance) = ((value - mean).abs(), 1e-12 * mean.abs().max(value.abs()));
    if variance.sqrt() <= tolerance {
        return distance > tolerance;
    }
    distance / variance.sqrt() >= settings.threshold * (1.0 - 1e-12)
}
