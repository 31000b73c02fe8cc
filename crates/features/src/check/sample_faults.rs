//! What is wrong with `sample.csv`: cells that cannot be read, and rows that the schema or the rules refuse.

use serde_json::Value;

use crate::error::{LoadFault, SampleError};
use crate::fault::Fault;
use crate::featurizer::{Featurizer, Need};
use crate::sample::{CellKind, ColumnKind, Sample, SampleFaults};
use crate::use_case_dir::{SAMPLE, UseCaseDir};

/// As many faults show what is wrong; the rest is counted.
const MAX_FAULTS: usize = 20;

/// The sample, where it can be read, and its faults. Its rows are validated only where the rest is sound.
pub(super) fn find(dir: &UseCaseDir, is_sound: bool) -> (Option<Sample>, Vec<LoadFault>) {
    let path = dir.path.join(SAMPLE);
    if !path.is_file() {
        return (None, Vec::new());
    }
    match Sample::read_all(&path, &dir.use_case, MAX_FAULTS) {
        Err(SampleFaults { first, more, .. }) => {
            let mut faults: Vec<LoadFault> = first.iter().map(unreadable).collect();
            faults.sort_by_key(|fault| fault.line);
            if more > 0 {
                let message = format!("and {more} more cells or rows that cannot be read");
                faults.push(LoadFault { file: SAMPLE, line: None, path: String::new(), message });
            }
            (None, faults)
        }
        Ok(sample) => {
            let refused = if is_sound { refused(dir, &sample) } else { Vec::new() };
            (Some(sample), refused)
        }
    }
}

/// The faults of rows that would be dead letters.
fn refused(dir: &UseCaseDir, sample: &Sample) -> Vec<LoadFault> {
    let Ok(mut featurizer) = Featurizer::new(dir) else { return Vec::new() };
    let (mut faults, mut rows, mut row) = (Vec::new(), 0_usize, Vec::new());
    for (line, event) in sample.numbered() {
        let payload = Value::Object(event.event.clone()).to_string();
        let Err(found) = featurizer.decode(payload.as_bytes(), Need::Event, &mut row) else { continue };
        rows += 1;
        faults.extend(found.iter().take(MAX_FAULTS.saturating_sub(faults.len())).map(|fault| of_row(line, fault)));
    }
    if rows > 0 {
        let message = format!(
            "{rows} of {} rows would be dead letters, the first ones below: mend them, or widen the schema",
            sample.numbered().count()
        );
        faults.insert(0, LoadFault { file: SAMPLE, line: None, path: String::new(), message });
    }
    faults
}

/// Columns that became text for a few cells that look like slips.
pub(super) fn strays(inferred: &[ColumnKind]) -> impl Iterator<Item = LoadFault> {
    let stray = |column: &ColumnKind| {
        let (line, cell) = column.stray.clone().filter(|_| column.kind == CellKind::Text)?;
        let message = format!(
            "{cell:?} is no number, while almost all cells of its column are: mend it, or declare the column's type"
        );
        Some(LoadFault { file: SAMPLE, line: usize::try_from(line).ok(), path: column.name.clone(), message })
    };
    inferred.iter().filter_map(stray)
}

fn of_row(line: u64, fault: &Fault) -> LoadFault {
    let value = if fault.value.is_empty() { String::new() } else { format!(" (it is {})", fault.value) };
    LoadFault {
        file: SAMPLE,
        line: usize::try_from(line).ok(),
        path: fault.field.clone(),
        message: format!("{}{value}", fault.message),
    }
}

fn unreadable(error: &SampleError) -> LoadFault {
    let (line, path, message) = match error {
        SampleError::Header { message, .. } => (Some(1), String::new(), message.clone()),
        SampleError::Cell { line, column, value, message, .. } => {
            (Some(*line), column.clone(), format!("{value:?} {message}"))
        }
        SampleError::Csv { source, .. } => (source.position().map(csv::Position::line), String::new(), of_csv(source)),
        SampleError::Read { source, .. } => (None, String::new(), format!("cannot be read: {source}")),
        SampleError::TooShort { rows, .. } => {
            (None, String::new(), format!("has {rows} rows: it takes at least 2, one to train on and one to replay"))
        }
    };
    LoadFault { file: SAMPLE, line: line.and_then(|line| usize::try_from(line).ok()), path, message }
}

fn of_csv(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("has {len} cells where the header has {expected_len}: every row takes as many as the header")
        }
        csv::ErrorKind::Utf8 { .. } => "is not UTF-8: save the file as UTF-8".to_owned(),
        _ => format!("is no well-formed CSV: {error}"),
    }
}
