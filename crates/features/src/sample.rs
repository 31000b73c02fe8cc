//! Real events of a use case, from `sample.csv`: the model is trained on the first part, the simulator replays the rest.

mod events;
mod read;

use std::path::Path;

use pulse_core::UseCase;
use serde_json::{Map, Value};

use crate::error::SampleError;
pub use events::CsvEvents;
use read::Rows;
pub(crate) use read::{CellKind, ColumnKind, SampleFaults, column_kinds};

/// One event of the sample.
#[derive(Debug, Clone, PartialEq)]
pub struct SampleRow {
    /// The event; a cell that is empty is a field that is missing.
    pub event: Map<String, Value>,
    /// Whether the sample itself says that it is out of the ordinary.
    pub genuine_outlier: bool,
}

/// The sample, in the order of time.
#[derive(Debug, Clone)]
pub struct Sample {
    rows: Vec<SampleRow>,
    lines: Vec<u64>,
    training: usize,
    fingerprint: u64,
}

impl Sample {
    pub(crate) fn read(path: &Path, use_case: &UseCase) -> Result<Self, SampleError> {
        Self::read_all(path, use_case, 1).map_err(|faults| faults.into_first(path))
    }

    /// The sample, or its faults, of which the first ones, at most `limit`, are told.
    pub(crate) fn read_all(path: &Path, use_case: &UseCase, limit: usize) -> Result<Self, SampleFaults> {
        let Rows { rows, lines, hash } = read::rows(path, use_case, limit)?;
        if rows.len() < 2 {
            return Err(vec![SampleError::TooShort { path: path.to_owned(), rows: rows.len() }].into());
        }
        #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let training = (rows.len() as f64 * use_case.simulator.train_fraction).round() as usize;
        let training = training.clamp(1, rows.len() - 1);
        let fingerprint = hash ^ (training as u64).rotate_left(32);
        Ok(Self { rows, lines, training, fingerprint })
    }

    /// The first part, for training.
    #[must_use]
    pub fn training(&self) -> &[SampleRow] {
        &self.rows[..self.training]
    }

    /// The rest, for replay.
    #[must_use]
    pub fn replay(&self) -> &[SampleRow] {
        &self.rows[self.training..]
    }

    /// All rows with their lines in the file.
    pub(crate) fn numbered(&self) -> impl Iterator<Item = (u64, &SampleRow)> {
        self.lines.iter().copied().zip(&self.rows)
    }

    /// A hash of the file and of where it is split.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }
}

#[cfg(test)]
mod tests;
