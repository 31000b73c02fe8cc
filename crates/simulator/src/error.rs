//! Why the simulator cannot run.

use pulse_core::{Classify, ErrorClass};
use pulse_features::{SampleError, UseCaseError};

/// Why the simulator stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimulatorError {
    /// The sample has a fault.
    #[error(transparent)]
    Sample(#[from] SampleError),
    /// The use case cannot be run.
    #[error(transparent)]
    UseCase(#[from] UseCaseError),
    /// A time of the sample cannot be moved.
    #[error(
        "sample.csv: replayed row {row}: {field:?} is {value}: give every row an RFC 3339 time or milliseconds since 1970"
    )]
    Time {
        /// Index of the row among those replayed, from 0.
        row: usize,
        /// The field.
        field: String,
        /// What it holds.
        value: String,
    },
    /// The rate is no rate.
    #[error("{what} is {value}: it must be {range}")]
    Option {
        /// Which option.
        what: &'static str,
        /// Its value.
        value: f64,
        /// What it may be.
        range: &'static str,
    },
    /// Too few rows can be changed to reach the rate.
    #[error(
        "anomaly rate {rate} is out of reach: only {share:.4} of the rows may be changed; widen `simulator.eligible` or lower the rate"
    )]
    AnomalyRate {
        /// The rate asked for.
        rate: f64,
        /// Share of rows that are eligible.
        share: f64,
    },
    /// The pace follows the sample's time, and there is none.
    #[error("a speed needs times to follow: name the `timestamp` field in config.yaml, or give a rate")]
    NoTimes,
    /// The log failed for good.
    #[error("cannot {action}")]
    Log {
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: Box<dyn std::error::Error + Send + Sync>,
        /// Its class.
        class: ErrorClass,
    },
    /// The task that makes events ended early.
    #[error("making events failed")]
    Task(#[from] tokio::task::JoinError),
}

impl Classify for SimulatorError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Log { class, .. } => *class,
            _ => ErrorClass::Fatal,
        }
    }
}
