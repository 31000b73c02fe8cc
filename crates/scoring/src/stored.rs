//! A model in parts that can be stored, and back.

use linfa_preprocessing::linear_scaling::LinearScaler;
use pulse_forest::IsolationForest;
use serde::{Deserialize, Serialize};

use crate::error::StoredModelError;
use crate::info::ModelInfo;
use crate::model::Model;
use crate::scaling::{ColumnStatistics, Scaling};

/// All of a model but its forest, which is bytes of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredModel {
    /// What can be told about it.
    #[serde(flatten)]
    pub info: ModelInfo,
    /// The highest score of the training rows.
    highest_score: f64,
    scaler: LinearScaler<f64>,
}

impl Model {
    /// The model in parts: metadata, and the forest as bytes.
    #[must_use]
    pub fn store(&self) -> (StoredModel, Vec<u8>) {
        let scaler = self.scaling.scaler.clone();
        (StoredModel { info: self.info.clone(), highest_score: self.highest, scaler }, self.forest.to_bytes())
    }

    /// The model that [`store`](Self::store) took apart: it gives the same scores, to the last bit.
    ///
    /// # Errors
    /// When the forest is damaged, or the parts are not of one model.
    pub fn restore(stored: StoredModel, forest: &[u8]) -> Result<Self, StoredModelError> {
        let StoredModel { info, highest_score, scaler } = stored;
        let forest = IsolationForest::from_bytes(forest)?;
        let mismatch = |what: &str, stored: usize, found: usize| {
            let text = format!("{stored} {what} there, {found} here");
            if stored == found { Ok(()) } else { Err(StoredModelError::Mismatch(text)) }
        };
        mismatch("columns", info.columns.len(), forest.columns())?;
        mismatch("offsets", scaler.offsets().len(), forest.columns())?;
        mismatch("scales", scaler.scales().len(), forest.columns())?;
        mismatch("trees", info.trees, forest.trees())?;
        let numbers = [info.threshold, highest_score].into_iter().chain(scaler.offsets().iter().copied());
        if let Some(number) = numbers.chain(scaler.scales().iter().copied()).find(|number| !number.is_finite()) {
            return Err(StoredModelError::Mismatch(format!("{number} is no number to compute with")));
        }
        let bins = info.columns.iter().map(|column| (&column.name, &column.bins));
        if let Some((name, _)) =
            bins.chain([(&"score".to_owned(), &info.score_bins)]).find(|(_, bins)| !bins.is_sound())
        {
            return Err(StoredModelError::Mismatch(format!("the bins of {name} are none")));
        }
        let known = info.columns.iter().map(|column| ColumnStatistics {
            mean: column.mean,
            standard_deviation: column.standard_deviation,
            missing: column.missing,
        });
        let scaling = Scaling { scaler, columns: known.collect() };
        Ok(Self::assemble(info, scaling, forest, highest_score))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tests::{SETTINGS, names, trips};

    fn model() -> Model {
        Model::train(&trips(), &names(), &SETTINGS).unwrap()
    }

    #[test]
    fn it_comes_back_as_it_was() {
        let model = model();
        let (stored, forest) = model.store();
        let text = serde_json::to_string(&stored).unwrap();
        let back = Model::restore(serde_json::from_str(&text).unwrap(), &forest).unwrap();
        assert_eq!(back.score(&trips()), model.score(&trips()));
        assert_eq!((back.info(), back.version(), back.columns()), (model.info(), model.version(), model.columns()));
        assert_eq!(back.explain(&trips()), model.explain(&trips()));
    }

    #[test]
    fn parts_of_two_models_are_refused() {
        let (stored, forest) = model().store();
        let mut fewer = stored.clone();
        fewer.info.columns.pop();
        assert!(matches!(Model::restore(fewer, &forest), Err(StoredModelError::Mismatch(_))));
        let mut odd = stored.clone();
        odd.info.threshold = f64::NAN;
        assert!(matches!(Model::restore(odd, &forest), Err(StoredModelError::Mismatch(_))));
        assert!(matches!(Model::restore(stored, &forest[1..]), Err(StoredModelError::Forest(_))));
    }
}
