//! Reads the CSV file: typed by the use case's schema, dotted headers as nested objects.

use std::collections::HashSet;
use std::path::Path;

use csv::StringRecord;
use pulse_core::UseCase;
use pulse_core::use_case::FeatureType;
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
    GenuineOutlier,
}

/// The columns of the file and what their cells can be read as.
pub(crate) fn column_kinds(path: &Path) -> Result<Vec<(String, CellKind)>, SampleError> {
    let (names, records) = records(path, &load(path)?)?;
    Ok(names.into_iter().enumerate().map(|(i, name)| (name, kind_of(i, &records))).collect())
}

/// All rows, and the hash of the file.
pub(super) fn rows(path: &Path, use_case: &UseCase) -> Result<(Vec<SampleRow>, u64), SampleError> {
    let bytes = load(path)?;
    let (names, records) = records(path, &bytes)?;
    let columns = columns(path, names, &records, use_case)?;
    let mut rows = Vec::with_capacity(records.len());
    let mut last = i64::MIN;
    for record in &records {
        let line = record.position().map_or(0, csv::Position::line);
        let mut row = SampleRow { event: Map::new(), genuine_outlier: false };
        for (column, cell) in columns.iter().zip(record) {
            let fault = |message: &str| SampleError::Cell {
                path: path.to_owned(),
                line,
                column: column.name.clone(),
                value: cell.to_owned(),
                message: message.to_owned(),
            };
            let kind = match column.role {
                Role::Field(kind) => kind,
                Role::GenuineOutlier => {
                    row.genuine_outlier = !matches!(cell, "" | "0");
                    continue;
                }
            };
            if cell.is_empty() {
                continue;
            }
            let value = value(cell, kind).map_err(fault)?;
            if column.is_time {
                let time = time(&value).ok_or_else(|| fault("is no instant: write it like 2021-01-04T08:00:00Z"))?;
                if time < last {
                    return Err(fault("is earlier than the row before: sort the file by time"));
                }
                last = time;
            }
            put(&mut row.event, &column.name, value);
        }
        rows.push(row);
    }
    Ok((rows, xxh3_64(&bytes)))
}

fn load(path: &Path) -> Result<Vec<u8>, SampleError> {
    std::fs::read(path).map_err(|source| SampleError::Read { path: path.to_owned(), source })
}

fn records(path: &Path, bytes: &[u8]) -> Result<(Vec<String>, Vec<StringRecord>), SampleError> {
    let csv = |source| SampleError::Csv { path: path.to_owned(), source };
    let mut reader = csv::Reader::from_reader(bytes);
    let names: Vec<String> = reader.headers().map_err(csv)?.iter().map(str::to_owned).collect();
    let (mut seen, mut tree) = (HashSet::new(), FieldTree::default());
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
        return Err(SampleError::Header { path: path.to_owned(), message });
    }
    Ok((names, reader.into_records().collect::<Result<_, _>>().map_err(csv)?))
}

fn columns(
    path: &Path,
    names: Vec<String>,
    records: &[StringRecord],
    use_case: &UseCase,
) -> Result<Vec<Column>, SampleError> {
    let genuine = use_case.simulator.genuine_outlier_column.as_deref();
    let time = use_case.timestamp.field.as_deref();
    let moved = use_case.simulator.also_move.iter().map(String::as_str);
    let required = use_case.features.iter().filter(|feature| feature.required).map(|feature| feature.name.as_str());
    for wanted in genuine.into_iter().chain(time).chain(moved).chain(required) {
        if !names.iter().any(|name| name == wanted) {
            let message = format!("has no column {wanted:?}, which config.yaml names: add it");
            return Err(SampleError::Header { path: path.to_owned(), message });
        }
    }
    let column = |(i, name): (usize, String)| {
        let declared = use_case.features.iter().find(|feature| feature.name == name).map(|feature| feature.kind);
        let role = if genuine == Some(name.as_str()) {
            Role::GenuineOutlier
        } else {
            Role::Field(declared.unwrap_or_else(|| match kind_of(i, records) {
                CellKind::Number => FeatureType::Number,
                CellKind::Boolean => FeatureType::Boolean,
                CellKind::Text => FeatureType::String,
            }))
        };
        Column { is_time: time == Some(name.as_str()), name, role }
    };
    Ok(names.into_iter().enumerate().map(column).collect())
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

fn number(cell: &str) -> Option<Number> {
    // Only what JSON calls a number: an identifier such as 007 stays text.
    serde_json::from_str(cell).ok()
}

fn value(cell: &str, kind: FeatureType) -> Result<Value, &'static str> {
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
fn put(object: &mut Map<String, Value>, path: &str, value: Value) {
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
