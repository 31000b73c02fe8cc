//! Why the service does not start, or has no model.

use std::path::PathBuf;

use pulse_features::{SampleError, UseCaseError};
use pulse_scoring::ScoringError;

/// Why a service could not be put together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// There is nothing to serve.
    #[error("the ml service needs at least one use case")]
    NoUseCase,
    /// Two use cases have one name.
    #[error("use case {0} is served twice")]
    RepeatedUseCase(String),
    /// A metric could not be registered.
    #[error("the metrics cannot be registered")]
    Metrics(#[from] prometheus::Error),
}

/// Why a running service ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The listener failed for good.
    #[error("the ml service cannot serve")]
    Serve(#[from] std::io::Error),
}

/// Why a model could not be trained from a use case's sample.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainingError {
    /// The use case has no isolation forest.
    #[error("use case {0} has no isolation forest: add `detectors.isolation_forest` to its config.yaml")]
    NoForest(String),
    /// The use case has no sample.
    #[error("use case {0} has no sample.csv to train on")]
    NoSample(String),
    /// There is a stored model and no sample, and that model cannot be used.
    #[error("the stored model cannot be used")]
    Stored(#[source] crate::registry::RegistryError),
    /// The use case cannot be used.
    #[error("the use case is at fault")]
    UseCase(#[from] UseCaseError),
    /// The sample cannot be read.
    #[error("the sample cannot be read")]
    Sample(#[from] SampleError),
    /// Not one row is a valid event.
    #[error("no row is a valid event; the first fault: {0}")]
    NoValidRow(String),
    /// A file is of another kind.
    #[error("{} is no .csv, .jsonl, .ndjson, .json or .parquet: rename or convert it", path.display())]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// A file is no Parquet, or damaged.
    #[cfg(feature = "parquet")]
    #[error("{} cannot be read as Parquet", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// Why it cannot.
        source: parquet::errors::ParquetError,
    },
    /// There are no labels.
    #[error("no event of {} says by {label:?}, the field that was named as the label, whether it is an anomaly: 1 or true, 0 or false", path.display())]
    NoLabel {
        /// The file.
        path: PathBuf,
        /// The label.
        label: String,
    },
    /// An event cannot be written as JSON.
    #[error("an event cannot be written as JSON")]
    Json(#[source] serde_json::Error),
    /// The model cannot be trained.
    #[error("the model cannot be trained")]
    Scoring(#[from] ScoringError),
}
