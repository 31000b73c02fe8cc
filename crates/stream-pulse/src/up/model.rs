//! The model: the stored version that is in force, or else trained from the use case's sample at every start, the same one as
//! long as sample and settings are.

use std::sync::Arc;

use anyhow::Context;
use pulse_features::UseCaseDir;
use pulse_ml_service::{ModelSlot, TrainingError, load_or_train};
use pulse_scoring::Model;

/// Trains the model, where the use case has a forest and a sample to learn from; `slot` shows the way to it.
pub(super) async fn train(dir: &Arc<UseCaseDir>, slot: &ModelSlot) -> anyhow::Result<Option<Arc<Model>>> {
    if dir.use_case.detectors.forest.is_none() {
        return Ok(None);
    }
    let is_needed = dir.use_case.detectors.need_a_model();
    let (dir, shown, slot) = (Arc::clone(dir), slot, slot.clone());
    let trained = tokio::task::spawn_blocking(move || load_or_train(&dir, &slot)).await;
    match trained.context("training panicked")? {
        Ok(model) => Ok(Some(model)),
        Err(error @ TrainingError::NoSample(_)) if !is_needed => {
            shown.fail(error.to_string());
            tracing::warn!(%error, "going on without the isolation forest");
            Ok(None)
        }
        Err(error) => Err(error).context("the model cannot be trained"),
    }
}
