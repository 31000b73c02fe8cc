//! Training a model: from a use case's sample, or from files of events.

mod files;
#[cfg(feature = "parquet")]
mod parquet;
mod quality;
mod sink;
mod topic;

use std::sync::Arc;

use pulse_core::use_case::ForestSettings;
use pulse_features::{Fault, Featurizer, UseCaseDir};
use pulse_scoring::Model;

use crate::error::TrainingError;
use crate::model_slot::{ModelSlot, WarmUp};
use crate::registry::Registry;

pub use files::Files;
pub use quality::Quality;
pub(crate) use sink::Gathered;
use sink::Sink;
pub(crate) use topic::gather_first;
pub use topic::{Reached, TopicError, train_from_topic};

/// A model, and what is known of its making.
#[derive(Debug)]
pub struct Trained {
    /// The model.
    pub model: Arc<Model>,
    /// Events that were read.
    pub read: u64,
    /// Those that are no valid events, and were left out.
    pub left_out: u64,
    /// What is wrong with the first of them.
    pub first_fault: Option<Fault>,
    /// How well it does on those with labels.
    pub quality: Option<Quality>,
}

/// Trains a model of the use case in `dir` on events in files; `progress` is told how many bytes of them were read.
///
/// # Errors
/// When there is no isolation forest in the use case, a file cannot be read, or not one event in them is valid.
pub fn train_from_files(dir: &UseCaseDir, files: &Files, progress: impl FnMut(u64)) -> Result<Trained, TrainingError> {
    forest_settings(dir)?;
    let mut featurizer = Featurizer::new(dir)?;
    let gathered = files::gather(dir, &mut featurizer, files, progress)?;
    grow(dir, gathered)
}

/// Grows the forest on what was gathered.
pub(crate) fn grow(dir: &UseCaseDir, gathered: Gathered) -> Result<Trained, TrainingError> {
    let settings = forest_settings(dir)?;
    if let Some(fault) = gathered.first_fault.as_ref().filter(|_| gathered.rows.is_empty()) {
        return Err(TrainingError::NoValidRow(fault.to_string()));
    }
    let model = Model::train(&gathered.rows, &gathered.columns, settings)?;
    // None without labels.
    let quality = quality_of(&model, &gathered);
    let Gathered { read, left_out, first_fault, .. } = gathered;
    Ok(Trained { model: Arc::new(model), read, left_out, first_fault, quality })
}

fn forest_settings(dir: &UseCaseDir) -> Result<&ForestSettings, TrainingError> {
    let forest = dir.use_case.detectors.forest.as_ref();
    forest.ok_or_else(|| TrainingError::NoForest(dir.use_case.name.clone()))
}

fn quality_of(model: &Model, Gathered { columns, rows, labels, .. }: &Gathered) -> Option<Quality> {
    if labels.iter().all(Option::is_none) {
        return None;
    }
    let places: Vec<usize> =
        model.columns().iter().filter_map(|name| columns.iter().position(|column| column == name)).collect();
    let scores = model.scores(&rows.select(&places));
    let labelled = scores.into_iter().zip(labels).filter_map(|(score, label)| Some((score, (*label)?)));
    Quality::of(labelled.collect(), model.threshold())
}

/// Rows between two reports of progress.
const REPORT_EVERY: usize = 1024;

/// The model in force of the use case in `dir`: the stored version that was put in force, or else one that is trained on the sample.
/// It goes into `slot`. The settings of the forest in `config.yaml` are those of the next training. A stored version that cannot be used is said in the log.
///
/// # Errors
/// When there is neither. The slot says so, too, unless it is for want of a sample: then there may be other ways.
pub fn load_or_train(dir: &UseCaseDir, slot: &ModelSlot) -> Result<Arc<Model>, TrainingError> {
    forest_settings(dir)?;
    match Registry::new(dir)?.active() {
        Ok(Some(model)) => {
            let model = Arc::new(model);
            tracing::info!(use_case = dir.use_case.name, version = %model.version(), "stored model loaded");
            slot.set(Arc::clone(&model));
            Ok(model)
        }
        Ok(None) => train_from_sample(dir, slot),
        Err(error) => {
            let (use_case, reason) = (&dir.use_case.name, chain(&error));
            tracing::warn!(use_case, reason, "the stored model cannot be used: training on the sample instead");
            let trained = train_from_sample(dir, slot);
            // Whoever chose that version is to choose or train another one, not to get the next best.
            if matches!(trained, Err(TrainingError::NoSample(_))) {
                slot.fail(format!("the stored model cannot be used: {reason}"));
                return Err(TrainingError::Stored(error));
            }
            trained
        }
    }
}

/// Trains a model on the first part of the sample of `dir`, puts it into `slot`, and tells there how far it is.
///
/// It takes a second or less of CPU and does not wait for anything but the disk: call it where blocking is allowed.
///
/// # Errors
/// When there is no isolation forest in the use case, no sample, or no valid row in it. The slot says so, too, unless it is for want of a sample.
pub fn train_from_sample(dir: &UseCaseDir, slot: &ModelSlot) -> Result<Arc<Model>, TrainingError> {
    let trained = train(dir, slot);
    match &trained {
        Ok(model) => {
            tracing::info!(
                use_case = dir.use_case.name,
                version = %model.version(),
                rows = model.trained_rows(),
                threshold = model.threshold(),
                "model trained"
            );
            slot.set(Arc::clone(model));
        }
        Err(TrainingError::NoSample(_)) => {}
        Err(error) => slot.fail(format!("training failed: {}", chain(error))),
    }
    trained
}

fn train(dir: &UseCaseDir, slot: &ModelSlot) -> Result<Arc<Model>, TrainingError> {
    let Trained { model, left_out, first_fault, .. } = on_sample(dir, |warm_up| slot.progress(warm_up))?;
    if let Some(fault) = first_fault {
        tracing::warn!(left_out, %fault, "rows of the sample are no valid events and are left out");
    }
    Ok(model)
}

/// Trains a model on the first part of the sample of `dir`.
///
/// # Errors
/// When there is no isolation forest in the use case, no sample, or no valid row in it.
pub fn train_on_sample(dir: &UseCaseDir) -> Result<Trained, TrainingError> {
    on_sample(dir, drop)
}

fn on_sample(dir: &UseCaseDir, progress: impl Fn(WarmUp)) -> Result<Trained, TrainingError> {
    forest_settings(dir)?;
    let reached = |stage: &'static str, done: usize, total| {
        let total = Option::<usize>::map(total, |total| total as u64);
        progress(WarmUp { stage: stage.into(), done: done as u64, total });
    };
    reached("reading the sample", 0, None);
    let sample = dir.sample()?.ok_or_else(|| TrainingError::NoSample(dir.use_case.name.clone()))?;
    let mut featurizer = Featurizer::new(dir)?;
    let mut sink = Sink::new(dir, &mut featurizer, None, usize::MAX);
    let rows = sample.training();
    for (index, row) in rows.iter().enumerate() {
        if index % REPORT_EVERY == 0 {
            reached("deriving features", index, Some(rows.len()));
        }
        // JSON of JSON: always to be had.
        sink.take(&serde_json::to_vec(&row.event).unwrap_or_default(), None);
    }
    reached("growing the forest", rows.len(), Some(rows.len()));
    grow(dir, sink.finish())
}

/// An error and what caused it, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |error| error.source())
        .fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
