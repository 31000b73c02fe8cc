//! Why there is no model, or no score.

use linfa_preprocessing::PreprocessingError;
use pulse_core::{Classify, ErrorClass};
use pulse_forest::{DecodeError, ForestError};

/// Why a model could not be trained.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScoringError {
    /// The settings ask for columns that there are none of.
    #[error("the isolation forest asks for unknown columns: {}; there are: {}", unknown.join(", "), known.join(", "))]
    UnknownColumns {
        /// What was asked for.
        unknown: Vec<String>,
        /// What there is.
        known: Vec<String>,
    },
    /// The settings ask for a column twice.
    #[error("the isolation forest asks for column {0} twice: remove one")]
    RepeatedColumn(String),
    /// There is nothing to look at.
    #[error("the isolation forest has no columns: name at least one numeric feature")]
    NoColumns,
    /// The rows are not those of the columns.
    #[error("rows of {rows} values do not fit {columns} columns")]
    Width {
        /// Values of a row.
        rows: usize,
        /// Names of columns.
        columns: usize,
    },
    /// There is nothing to learn from.
    #[error("there are no rows to train on")]
    NoRows,
    /// The columns could not be scaled.
    #[error("the columns cannot be scaled")]
    Scaling(#[from] PreprocessingError),
    /// The forest could not be fitted.
    #[error("the isolation forest cannot be fitted")]
    Forest(#[from] ForestError),
}

/// Why what was stored is no model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoredModelError {
    /// Its forest cannot be read.
    #[error(transparent)]
    Forest(#[from] DecodeError),
    /// Its parts do not belong together.
    #[error("its metadata do not fit its forest: {0}")]
    Mismatch(String),
}

/// Why rows could not be scored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScoreError {
    /// The rows have not the model's columns: whoever sent them has another model in mind.
    #[error("rows of {rows} values do not fit a model of {columns} columns")]
    Width {
        /// Values of a row.
        rows: usize,
        /// Columns of the model.
        columns: usize,
    },
}

impl Classify for ScoreError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Width { .. } => ErrorClass::Fatal,
        }
    }
}
