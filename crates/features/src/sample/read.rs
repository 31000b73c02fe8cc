//! Reads the CSV file: typed by the use case's schema, dotted headers as nested objects.

use std::collections::HashSet;
use std::path::Path;

use csv::StringRecord;
use pulse_core::UseCase;
use pulse_core::use_case::{Entity, FeatureType};
use serde_json::{Map, Number, Value};
use xxhash_rust::xxh3::xxh3_64;

use super::SampleRow;
use crate::decode::FieldTree;
use crate::error::SampleError;
use crate::instant;

/// What all cells of a column can be read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CellKind {
    /// JSON numbers.
    Number,
    /// `true` and `false`.
    Boolean,
    /// Anything.
    Text,
}

/// How a column becomes a field.
struct Column {
    name: String,
    role: Role,
    is_time: bool,
}

enum Role {
    Field(FeatureType),
    /// Each cell as it is written: a number or text.
    AsWritten,
    GenuineOutlier,
}

/// The rows of the file.
pub(super) struct Rows {
    pub(super) rows: Vec<SampleRow>,
    /// The line of each row.
    pub(super) lines: Vec<u64>,
    /// Hash of the file.
    pub(super) hash: u64,
}

/// A column of the file.
#[derive(Debug, Clone)]
pub(crate) struct ColumnKind {
    pub(crate) name: String,
    /// What all its cells can be read as.
    pub(crate) kind: CellKind,
    /// Line and text of the first cell that keeps the column from being one of numbers, where almost all are.
    pub(crate) stray: Option<(u64, String)>,
}

/// The columns of the file and what their cells can be read as.
pub(crate) fn column_kinds(path: &Path) -> Result<Vec<ColumnKind>, SampleError> {
    // Rows that are none are told when the sample is read; the others say enough about types.
    let table = Table::read(path, &load(path)?, 1).map_err(|faults| SampleFaults::from(faults).into_first(path))?;
    let kind = |(i, name)| ColumnKind { name, kind: kind_of(i, &table.records), stray: stray(i, &table.records) };
    Ok(table.names.into_iter().enumerate().map(kind).collect())
}

/// What is wrong with a sample.
#[derive(Debug)]
pub(crate) struct SampleFaults {
    /// The first faults.
    pub(crate) first: Vec<SampleError>,
    /// How many there are besides.
    pub(crate) more: usize,
    limit: usize,
}

impl SampleFaults {
    fn none(limit: usize) -> Self {
        Self { first: Vec::new(), more: 0, limit }
    }

    fn add(&mut self, fault: SampleError) {
        if self.first.len() < self.limit { self.first.push(fault) } else { self.more += 1 }
    }

    /// The first one, for those who want no more.
    pub(super) fn into_first(self, path: &Path) -> SampleError {
        self.first.into_iter().next().unwrap_or_else(|| SampleError::TooShort { path: path.to_owned(), rows: 0 })
    }
}

impl From<Vec<SampleError>> for SampleFaults {
    fn from(first: Vec<SampleError>) -> Self {
        Self { limit: first.len(), first, more: 0 }
    }
}

/// All rows, or the faults, of which the first ones, at most `limit`, are told.
pub(super) fn rows(path: &Path, use_case: &UseCase, limit: usize) -> Result<Rows, SampleFaults> {
    let bytes = load(path).map_err(|error| vec![error])?;
    let table = Table::read(path, &bytes, limit)?;
    let columns = columns(path, &table, use_case)?;
    let mut reader = RowReader { path, columns, last_time: i64::MIN, faults: table.faults };
    let mut rows = Rows { rows: Vec::with_capacity(table.records.len()), lines: Vec::new(), hash: xxh3_64(&bytes) };
    for record in &table.records {
        let line = record.position().map_or(0, csv::Position::line);
        rows.rows.push(reader.row(record, line));
        rows.lines.push(line);
    }
    if reader.faults.first.is_empty() { Ok(rows) } else { Err(reader.faults) }
}

struct RowReader<'a> {
    path: &'a Path,
    columns: Vec<Column>,
    last_time: i64,
    faults: SampleFaults,
}

impl RowReader<'_> {
    /// The row that `record` is; cells at fault are left out.
    fn row(&mut self, record: &StringRecord, line: u64) -> SampleRow {
        let mut row = SampleRow { event: Map::new(), genuine_outlier: false };
        for (column, cell) in self.columns.iter().zip(record) {
            let read = match column.role {
                Role::GenuineOutlier => {
                    row.genuine_outlier = !matches!(cell, "" | "0");
                    continue;
                }
                Role::Field(_) | Role::AsWritten if cell.is_empty() => continue,
                Role::Field(kind) => value(cell, kind),
                Role::AsWritten => Ok(number(cell).map_or_else(|| Value::String(cell.to_owned()), Value::Number)),
            };
            let checked = read.and_then(|value| {
                if column.is_time {
                    let time = time(&value).ok_or("is no instant: write it like 2021-01-04T08:00:00Z")?;
                    if time < self.last_time {
                        return Err("is earlier than the row before: sort the file by time");
                    }
                    self.last_time = time;
                }
                Ok(value)
            });
            match checked {
                Ok(value) => put(&mut row.event, &column.name, value),
                Err(message) => self.faults.add(SampleError::Cell {
                    path: self.path.to_owned(),
                    line,
                    column: column.name.clone(),
                    value: cell.to_owned(),
                    message: message.to_owned(),
                }),
            }
        }
        row
    }
}

fn load(path: &Path) -> Result<Vec<u8>, SampleError> {
    std::fs::read(path).map_err(|source| SampleError::Read { path: path.to_owned(), source })
}

/// The file as text.
struct Table {
    names: Vec<String>,
    records: Vec<StringRecord>,
    /// Rows that are none.
    faults: SampleFaults,
}

impl Table {
    fn read(path: &Path, bytes: &[u8], limit: usize) -> Result<Self, Vec<SampleError>> {
        let csv = |source| SampleError::Csv { path: path.to_owned(), source };
        let mut reader = csv::Reader::from_reader(bytes);
        let header = reader.headers().map_err(|error| vec![csv(error)])?;
        let names: Vec<String> = header.iter().map(str::to_owned).collect();
        let faults = header_faults(path, &names);
        if !faults.is_empty() {
            return Err(faults);
        }
        let (mut records, mut faults) = (Vec::new(), SampleFaults::none(limit));
        for record in reader.into_records() {
            match record {
                Ok(record) => records.push(record),
                Err(error) => faults.add(csv(error)),
            }
        }
        Ok(Self { names, records, faults })
    }
}

pub(super) fn header_faults(path: &Path, names: &[String]) -> Vec<SampleError> {
    let (mut seen, mut tree) = (HashSet::new(), FieldTree::default());
    let mut faults = Vec::new();
    for (i, name) in names.iter().enumerate() {
        let message = if name.split('.').any(str::is_empty) {
            format!("column {} has the name {name:?}: give it one without empty parts", i + 1)
        } else if !seen.insert(name) {
            format!("two columns are called {name:?}: rename one")
        } else if let Err(clash) = tree.add(name) {
            format!("column {:?} lies within column {:?}: rename one", clash.inner, clash.outer)
        } else {
            continue;
        };
        faults.push(SampleError::Header { path: path.to_owned(), message });
    }
    faults
}

fn columns(path: &Path, table: &Table, use_case: &UseCase) -> Result<Vec<Column>, Vec<SampleError>> {
    let genuine = use_case.simulator.genuine_outlier_column.as_deref();
    let time = use_case.timestamp.field.as_deref();
    let entity = match &use_case.entity {
        Entity::Key => None,
        Entity::Field(field) => Some(field.as_str()),
    };
    let moved = use_case.simulator.also_move.iter().map(String::as_str);
    let required = use_case.features.iter().filter(|feature| feature.required).map(|feature| feature.name.as_str());
    let mut wanted: Vec<&str> = genuine.into_iter().chain(entity).chain(time).chain(moved).chain(required).collect();
    wanted.dedup();
    let is_missing = |wanted: &&str| !table.names.iter().any(|name| name == wanted);
    let faults: Vec<SampleError> = wanted
        .into_iter()
        .filter(is_missing)
        .map(|wanted| {
            let message = format!("has no column {wanted:?}, which config.yaml names: add it");
            SampleError::Header { path: path.to_owned(), message }
        })
        .collect();
    if !faults.is_empty() {
        return Err(faults);
    }
    let column = |(i, name): (usize, &String)| {
        let declared = use_case.features.iter().find(|feature| feature.name == *name).map(|feature| feature.kind);
        let role = if genuine == Some(name.as_str()) {
            Role::GenuineOutlier
        } else if declared.is_none() && time == Some(name.as_str()) {
            Role::AsWritten
        } else {
            Role::Field(declared.unwrap_or_else(|| match kind_of(i, &table.records) {
                CellKind::Number => FeatureType::Number,
                CellKind::Boolean => FeatureType::Boolean,
                CellKind::Text => FeatureType::String,
            }))
        };
        Column { is_time: time == Some(name.as_str()), name: name.clone(), role }
    };
    Ok(table.names.iter().enumerate().map(column).collect())
}

/// What every cell of column `index` can be read as; a column without any is a number's.
fn kind_of(index: usize, records: &[StringRecord]) -> CellKind {
    let cells = || records.iter().filter_map(|record| record.get(index)).filter(|cell| !cell.is_empty());
    if cells().all(|cell| number(cell).is_some()) {
        CellKind::Number
    } else if cells().all(|cell| matches!(cell, "true" | "false")) {
        CellKind::Boolean
    } else {
        CellKind::Text
    }
}

/// The first cell of column `index` that is no number, where almost all others are.
fn stray(index: usize, records: &[StringRecord]) -> Option<(u64, String)> {
    /// Fewer numbers than this for each other cell are chance.
    const NUMBERS_PER_STRAY: usize = 9;
    let cells = || records.iter().filter(|record| record.get(index).is_some_and(|cell| !cell.is_empty()));
    let is_stray = |record: &&StringRecord| record.get(index).and_then(number).is_none();
    let strays = cells().filter(is_stray).count();
    let first = cells().find(is_stray)?;
    let line = first.position().map_or(0, csv::Position::line);
    (cells().count() >= strays * (NUMBERS_PER_STRAY + 1))
        .then(|| (line, first.get(index).unwrap_or_default().to_owned()))
}

pub(super) fn number(cell: &str) -> Option<Number> {
    // Only what JSON calls a number: an identifier such as 007 stays text.
    serde_json::from_str(cell).ok()
}

pub(super) fn value(cell: &str, kind: FeatureType) -> Result<Value, &'static str> {
    match kind {
        FeatureType::Number => number(cell).map(Value::Number).ok_or("is no number"),
        FeatureType::Integer => {
            let number = number(cell).filter(|number| number.as_f64().is_some_and(|value| value.fract() == 0.0));
            number.map(Value::Number).ok_or("is no whole number")
        }
        FeatureType::Boolean => match cell {
            "true" | "1" => Ok(Value::Bool(true)),
            "false" | "0" => Ok(Value::Bool(false)),
            _ => Err("is no boolean: write true or false"),
        },
        FeatureType::String => Ok(Value::String(cell.to_owned())),
    }
}

fn time(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => instant::parse_rfc3339(text),
        Value::Number(number) => instant::from_epoch_ms(number.as_f64()?),
        _ => None,
    }
}

/// Puts `value` at the dotted `path`.
pub(super) fn put(object: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            object.insert(path.to_owned(), value);
        }
        Some((key, rest)) => {
            if let Value::Object(inner) = object.entry(key).or_insert_with(|| Value::Object(Map::new())) {
                put(inner, rest, value);
            }
        }
    }
}
