//! Events of a CSV file of any length, row by row.

use std::io::Read;
use std::path::{Path, PathBuf};

use csv::StringRecord;
use pulse_core::UseCase;
use pulse_core::use_case::FeatureType;
use serde_json::{Map, Value};

use super::read::{header_faults, number, put, value};
use crate::error::SampleError;

/// Events of a CSV file with a header, dotted names as nested objects. A cell becomes what the use case says of its field, a
/// number where it can be one, or text; what does not fit its field stays text, for the schema to name.
#[derive(Debug)]
pub struct CsvEvents<R> {
    path: PathBuf,
    reader: csv::Reader<R>,
    columns: Vec<(String, Option<FeatureType>)>,
    record: StringRecord,
}

impl<R: Read> CsvEvents<R> {
    /// Reads `source`; errors name `path`.
    ///
    /// # Errors
    /// When it cannot be read, or its header has a fault.
    pub fn new(path: &Path, source: R, use_case: &UseCase) -> Result<Self, SampleError> {
        let mut reader = csv::Reader::from_reader(source);
        let header = reader.headers().map_err(|source| SampleError::Csv { path: path.to_owned(), source })?;
        let names: Vec<String> = header.iter().map(str::to_owned).collect();
        if let Some(fault) = header_faults(path, &names).into_iter().next() {
            return Err(fault);
        }
        let kind = |name: &String| use_case.features.iter().find(|feature| feature.name == *name).map(|f| f.kind);
        let columns = names.into_iter().map(|name| (name.clone(), kind(&name))).collect();
        Ok(Self { path: path.to_owned(), reader, columns, record: StringRecord::new() })
    }

    /// Whether there is a column of this name.
    #[must_use]
    pub fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|(name, _)| name == column)
    }
}

impl<R: Read> Iterator for CsvEvents<R> {
    type Item = Result<Map<String, Value>, SampleError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.reader.read_record(&mut self.record) {
            Ok(false) => return None,
            Ok(true) => {}
            Err(source) => return Some(Err(SampleError::Csv { path: self.path.clone(), source })),
        }
        let mut event = Map::new();
        for ((name, kind), cell) in self.columns.iter().zip(&self.record).filter(|(_, cell)| !cell.is_empty()) {
            let typed = match kind {
                Some(kind) => value(cell, *kind).ok(),
                None => number(cell).map(Value::Number),
            };
            put(&mut event, name, typed.unwrap_or_else(|| Value::String(cell.to_owned())));
        }
        Some(Ok(event))
    }
}
