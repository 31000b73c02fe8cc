//! A trained model: scaling, isolation forest and threshold.

use std::sync::Arc;

use linfa::Dataset;
use linfa::traits::Fit;
use ndarray::{Array1, Array2, Axis};
use pulse_core::Matrix;
use pulse_core::ports::Scores;
use pulse_core::use_case::{ForestKind, ForestSettings};
use pulse_forest::{ForestParams, IsolationForest};

use crate::columns::select;
use crate::drift::{Bins, Drift};
use crate::error::ScoringError;
use crate::info::{ColumnInfo, ModelInfo};
use crate::scaling::Scaling;
use crate::{threshold, version};

/// The smallest sample that trees of an accurate forest are grown on, where that is not too many.
const SMALLEST_SAMPLE: u32 = 64;

/// A trained model. It never changes; only what it was asked is counted in it.
#[derive(Debug)]
pub struct Model {
    pub(crate) version: Arc<str>,
    pub(crate) columns: Vec<String>,
    pub(crate) scaling: Scaling,
    pub(crate) forest: IsolationForest,
    pub(crate) threshold: f64,
    pub(crate) highest: f64,
    pub(crate) info: ModelInfo,
    drift: Drift,
}

impl Model {
    /// Trains a model on `rows`, whose columns are `all_columns`; it sees those that `settings` names.
    ///
    /// Without a fixed threshold, it takes the lowest one that at most the expected rate of the training rows reaches.
    ///
    /// # Errors
    /// When the settings name columns that there are none of, or there are no rows.
    pub fn train(rows: &Matrix, all_columns: &[String], settings: &ForestSettings) -> Result<Self, ScoringError> {
        if rows.width() != all_columns.len() {
            return Err(ScoringError::Width { rows: rows.width(), columns: all_columns.len() });
        }
        let selected = select(all_columns, settings.features.as_deref())?;
        if rows.is_empty() {
            return Err(ScoringError::NoRows);
        }
        let columns: Vec<String> = selected.iter().map(|&index| all_columns[index].clone()).collect();
        let rows = rows.select(&selected);
        let version = version::version(settings, &columns, &rows);
        let training = to_array(&rows);
        let scaling = Scaling::fit(&training)?;
        let scaled = scaling.apply(training);
        let params = params(settings);
        let dataset = Dataset::new(scaled, Array1::from_elem(rows.rows(), ()));
        let forest: IsolationForest = params.fit(&dataset)?;
        let mut scores = forest.score_rows(dataset.records.view()).to_vec();
        scores.sort_by(f64::total_cmp);
        let threshold = settings.threshold.unwrap_or_else(|| threshold::for_rate(&scores, settings.expected_rate));
        let info = ModelInfo {
            version: version.clone(),
            columns: column_infos(&columns, &scaling, &rows),
            trained_rows: rows.rows(),
            trees: forest.trees(),
            sample_size: forest.sample_size(),
            seed: settings.seed,
            threshold,
            expected_rate: settings.threshold.is_none().then_some(settings.expected_rate),
            score_quantiles: threshold::quantiles(&scores),
            score_bins: Bins::of(scores.iter().copied()),
        };
        let highest = scores.last().copied().unwrap_or(threshold);
        Ok(Self::assemble(info, scaling, forest, highest))
    }

    /// The model of these parts, which fit each other.
    pub(crate) fn assemble(info: ModelInfo, scaling: Scaling, forest: IsolationForest, highest: f64) -> Self {
        let bins = info.columns.iter().map(|column| column.bins.clone());
        Self {
            version: info.version.as_str().into(),
            columns: info.columns.iter().map(|column| column.name.clone()).collect(),
            scaling,
            forest,
            threshold: info.threshold,
            highest,
            drift: Drift::new(info.trained_rows, bins, info.score_bins.clone()),
            info,
        }
    }

    /// How far what is scored has moved from the training rows. Whoever scores tells it what.
    #[must_use]
    pub fn drift(&self) -> &Drift {
        &self.drift
    }

    /// Fingerprint of settings, columns and training rows: 16 hexadecimal digits.
    #[must_use]
    pub fn version(&self) -> &Arc<str> {
        &self.version
    }

    /// The columns that it sees, in its order.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The score from which a row is an anomaly.
    #[must_use]
    pub fn threshold(&self) -> f64 {
        self.threshold
    }

    /// The highest score of the rows that it was trained on.
    #[must_use]
    pub fn highest(&self) -> f64 {
        self.highest
    }

    /// Number of rows that it was trained on.
    #[must_use]
    pub fn trained_rows(&self) -> usize {
        self.info.trained_rows
    }

    /// What can be told about it.
    #[must_use]
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// The scores of `rows`, whose columns are the model's, without explanations.
    ///
    /// # Panics
    /// When `rows` are not as wide as the model.
    #[must_use]
    pub fn scores(&self, rows: &Matrix) -> Vec<f64> {
        assert_eq!(rows.width(), self.columns.len(), "rows must have one value per column of the model");
        self.forest.score_rows(self.scaling.apply(to_array(rows)).view()).to_vec()
    }

    /// Scores `rows`, whose columns are the model's, and explains those that reach the threshold.
    ///
    /// # Panics
    /// When `rows` are not as wide as the model; [`LocalScorer`](crate::LocalScorer) answers an error instead.
    #[must_use]
    pub fn score(&self, rows: &Matrix) -> Scores {
        assert_eq!(rows.width(), self.columns.len(), "rows must have one value per column of the model");
        let scaled = self.scaling.apply(to_array(rows));
        let scores = self.forest.score_rows(scaled.view()).to_vec();
        let reached = scores.iter().enumerate().filter(|(_, score)| **score >= self.threshold);
        let reached: Vec<usize> = reached.map(|(index, _)| index).collect();
        let shares = self.forest.contributions_of_rows(scaled.select(Axis(0), &reached).view());
        Scores {
            model_version: Arc::clone(&self.version),
            threshold: self.threshold,
            highest: self.highest,
            contributions: reached.into_iter().zip(shares.rows()).map(|(index, row)| (index, row.to_vec())).collect(),
            scores,
        }
    }

    /// Scores `rows`, whose columns are the model's, and explains all of them: the scores, and for each row the share of each column
    /// in how unusual it is; they sum to 1.
    ///
    /// # Panics
    /// When `rows` are not as wide as the model.
    #[must_use]
    pub fn explain(&self, rows: &Matrix) -> (Vec<f64>, Vec<Vec<f64>>) {
        assert_eq!(rows.width(), self.columns.len(), "rows must have one value per column of the model");
        let scaled = self.scaling.apply(to_array(rows));
        if rows.rows() == 1 {
            let (score, shares) = self.forest.score_and_contributions(&scaled.into_raw_vec_and_offset().0);
            return (vec![score], vec![shares]);
        }
        let (scores, shares) = self.forest.scores_and_contributions(scaled.view());
        (scores.to_vec(), shares.rows().into_iter().map(|shares| shares.to_vec()).collect())
    }
}

fn params(settings: &ForestSettings) -> ForestParams {
    let params = match settings.kind {
        ForestKind::Plain => ForestParams::default(),
        ForestKind::Accurate => ForestParams::accurate().smallest_sample(SMALLEST_SAMPLE.min(settings.sample_size)),
    };
    params.trees(settings.trees).sample_size(settings.sample_size).seed(settings.seed)
}

fn to_array(rows: &Matrix) -> Array2<f64> {
    let width = rows.width();
    let values = rows.as_slice();
    Array2::from_shape_fn((rows.rows(), width), |(row, column)| values[row * width + column])
}

fn column_infos(columns: &[String], scaling: &Scaling, rows: &Matrix) -> Vec<ColumnInfo> {
    let described = columns.iter().zip(&scaling.columns).enumerate();
    described
        .map(|(index, (name, known))| ColumnInfo {
            name: name.clone(),
            mean: known.mean,
            standard_deviation: known.standard_deviation,
            missing: known.missing,
            bins: Bins::of(rows.iter().filter_map(|row| row.get(index).copied())),
        })
        .collect()
}

#[cfg(test)]
pub(crate) mod tests;
