//! What can be told about a model.

use serde::{Deserialize, Serialize};

use crate::drift::Bins;

/// A model's metadata.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// Fingerprint of settings, columns and training rows: 16 hexadecimal digits.
    pub version: String,
    /// The columns that it sees, in its order.
    pub columns: Vec<ColumnInfo>,
    /// Number of rows that it was trained on.
    pub trained_rows: usize,
    /// Number of trees.
    pub trees: usize,
    /// Rows that each tree was grown on.
    pub sample_size: usize,
    /// Seed of all randomness.
    pub seed: u64,
    /// The score from which a row is an anomaly.
    pub threshold: f64,
    /// The share of training rows that the threshold was chosen for; none where it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_rate: Option<f64>,
    /// Quantiles of the scores of the training rows.
    pub score_quantiles: Vec<ScoreQuantile>,
    /// How these are distributed; nothing in one that an older version has stored.
    #[serde(default)]
    pub score_bins: Bins,
}

/// A column of a model, as the training rows had it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnInfo {
    /// Its name.
    pub name: String,
    /// Mean of the values that are there, in the column's unit.
    pub mean: f64,
    /// Population standard deviation of the values that are there, in the column's unit.
    pub standard_deviation: f64,
    /// Number of rows without a value.
    pub missing: usize,
    /// How the values are distributed; nothing in one that an older version has stored.
    #[serde(default)]
    pub bins: Bins,
}

/// The score at and below which a share of the training rows lies.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ScoreQuantile {
    /// The share, from 0 to 1.
    pub share: f64,
    /// The score.
    pub score: f64,
}
