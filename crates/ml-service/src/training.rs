//! Training a model from a use case's sample.

use std::sync::Arc;

use pulse_core::Matrix;
use pulse_features::{Fault, Featurizer, Need, SampleRow, UseCaseDir};
use pulse_scoring::Model;

use crate::error::TrainingError;
use crate::model_slot::{ModelSlot, WarmUp};

/// Rows between two reports of progress.
const REPORT_EVERY: usize = 1024;

/// Trains a model on the first part of the sample of `dir`, puts it into `slot`, and tells there how far it is.
///
/// It takes a second or less of CPU and does not wait for anything but the disk: call it where blocking is allowed.
///
/// # Errors
/// When there is no isolation forest in the use case, no sample, or no valid row in it. The slot says so, too.
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
        Err(error) => slot.fail(format!("training failed: {}", chain(error))),
    }
    trained
}

fn train(dir: &UseCaseDir, slot: &ModelSlot) -> Result<Arc<Model>, TrainingError> {
    let name = &dir.use_case.name;
    let settings = dir.use_case.detectors.forest.as_ref().ok_or_else(|| TrainingError::NoForest(name.clone()))?;
    slot.progress(WarmUp { stage: "reading the sample".into(), done: 0, total: None });
    let sample = dir.sample()?.ok_or_else(|| TrainingError::NoSample(name.clone()))?;
    let mut featurizer = Featurizer::new(dir)?;
    let rows = featurize(&mut featurizer, sample.training(), slot)?;
    let done = rows.rows() as u64;
    slot.progress(WarmUp { stage: "growing the forest".into(), done, total: Some(done) });
    let columns: Vec<String> = featurizer.columns().iter().map(|column| column.name.clone()).collect();
    Ok(Arc::new(Model::train(&rows, &columns, settings)?))
}

fn featurize(featurizer: &mut Featurizer, rows: &[SampleRow], slot: &ModelSlot) -> Result<Matrix, TrainingError> {
    let mut table = Matrix::with_capacity(featurizer.columns().len(), rows.len());
    let (mut row, mut payload, mut first_fault, mut faulty) = (Vec::new(), Vec::new(), None, 0_usize);
    for (index, sampled) in rows.iter().enumerate() {
        if index % REPORT_EVERY == 0 {
            let (done, total) = (index as u64, Some(rows.len() as u64));
            slot.progress(WarmUp { stage: "deriving features".into(), done, total });
        }
        payload.clear();
        let decoded = match serde_json::to_writer(&mut payload, &sampled.event) {
            Ok(()) => featurizer.decode(&payload, Need::Features, &mut row).map(drop),
            Err(error) => Err(vec![Fault { field: String::new(), value: String::new(), message: error.to_string() }]),
        };
        match decoded {
            Ok(()) => table.push(&row),
            Err(faults) => {
                faulty += 1;
                first_fault = first_fault.or_else(|| faults.into_iter().next());
            }
        }
    }
    match first_fault {
        Some(fault) if table.is_empty() => return Err(TrainingError::NoValidRow(fault.to_string())),
        Some(fault) => tracing::warn!(faulty, %fault, "rows of the sample are no valid events and are left out"),
        None => {}
    }
    Ok(table)
}

/// An error and what caused it, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |error| error.source())
        .fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
