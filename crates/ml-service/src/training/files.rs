//! Training rows from files of events.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};

use pulse_core::Matrix;
use pulse_features::{CsvEvents, Fault, Featurizer, Need, SampleError, UseCaseDir};
use rand::{Rng as _, SeedableRng as _};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde_json::{Map, Value};

use crate::error::TrainingError;

/// Which events of which files a model is trained on.
#[derive(Debug, Clone)]
pub struct Files {
    /// CSV with a header (`.csv`), an event of JSON in each line (`.jsonl`, `.ndjson`, `.json`), or, with the feature of that name, Parquet
    /// (`.parquet`).
    pub paths: Vec<PathBuf>,
    /// The field that says whether an event is an anomaly: 1 or `true`, 0 or `false`.
    pub label: Option<String>,
    /// Rows that are kept at the most; of more, so many are drawn.
    pub max_rows: usize,
}

/// What was read.
#[derive(Debug)]
pub(super) struct Gathered {
    pub(super) rows: Matrix,
    /// The label of each row, where labels are wanted and it has one.
    pub(super) labels: Vec<Option<bool>>,
    pub(super) read: u64,
    pub(super) left_out: u64,
    pub(super) first_fault: Option<Fault>,
}

/// Reads all events and derives their columns; `progress` is told how many bytes were read.
pub(super) fn gather(
    dir: &UseCaseDir,
    featurizer: &mut Featurizer,
    files: &Files,
    mut progress: impl FnMut(u64),
) -> Result<Gathered, TrainingError> {
    let settings = dir.use_case.detectors.forest.as_ref();
    let seed = settings.map_or(0, |settings| settings.seed);
    let mut sink = Sink {
        featurizer,
        label: files.label.as_deref(),
        reservoir: Reservoir::new(files.max_rows, seed),
        row: Vec::new(),
        read: 0,
        left_out: 0,
        first_fault: None,
    };
    for path in &files.paths {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("csv") => csv(path, dir, &mut sink, &mut progress)?,
            Some("jsonl" | "ndjson" | "json") => lines(path, &mut sink, &mut progress)?,
            #[cfg(feature = "parquet")]
            Some("parquet") => super::parquet::rows(path, &mut sink, &mut progress)?,
            _ => return Err(TrainingError::UnknownFormat { path: path.clone() }),
        }
    }
    if let Some(label) = files.label.as_ref().filter(|_| reservoir_has_no_label(&sink.reservoir)) {
        let path = files.paths.first().cloned().unwrap_or_default();
        return Err(TrainingError::NoLabel { path, label: label.clone() });
    }
    let Sink { reservoir, read, left_out, first_fault, .. } = sink;
    let width = featurizer.columns().len();
    let mut rows = Matrix::with_capacity(width, reservoir.kept.len());
    reservoir.kept.iter().for_each(|(row, _)| rows.push(row));
    let labels = reservoir.kept.into_iter().map(|(_, label)| label).collect();
    Ok(Gathered { rows, labels, read, left_out, first_fault })
}

fn csv(
    path: &Path,
    dir: &UseCaseDir,
    sink: &mut Sink<'_>,
    progress: &mut impl FnMut(u64),
) -> Result<(), TrainingError> {
    let file = open(path)?;
    let mut events = CsvEvents::new(path, Counted { file, progress }, &dir.use_case)?;
    if let Some(label) = sink.label.filter(|label| !events.has(label)) {
        return Err(TrainingError::NoLabel { path: path.to_owned(), label: label.to_owned() });
    }
    let mut payload = Vec::new();
    for event in &mut events {
        let event = match event {
            Err(SampleError::Csv { source, .. }) if !source.is_io_error() => {
                sink.leave_out(Fault { field: String::new(), value: String::new(), message: source.to_string() });
                continue;
            }
            event => event?,
        };
        payload.clear();
        // An event of text, numbers and objects with names can be written.
        serde_json::to_writer(&mut payload, &event).map_err(TrainingError::Json)?;
        sink.take(&payload, sink.label.and_then(|label| truth(&event, label)));
    }
    Ok(())
}

fn lines(path: &Path, sink: &mut Sink<'_>, progress: &mut impl FnMut(u64)) -> Result<(), TrainingError> {
    let read = |source| SampleError::Read { path: path.to_owned(), source };
    let mut source = BufReader::new(Counted { file: open(path)?, progress });
    let mut line = Vec::new();
    while source.read_until(b'\n', &mut line).map_err(read)? > 0 {
        if !line.trim_ascii().is_empty() {
            let label = sink.label.and_then(|label| truth(&serde_json::from_slice(&line).ok()?, label));
            sink.take(&line, label);
        }
        line.clear();
    }
    Ok(())
}

pub(super) fn open(path: &Path) -> Result<File, SampleError> {
    File::open(path).map_err(|source| SampleError::Read { path: path.to_owned(), source })
}

/// What the field `label` of an event says.
pub(super) fn truth(event: &Map<String, Value>, label: &str) -> Option<bool> {
    let mut names = label.split('.');
    let first = event.get(names.next()?)?;
    match names.try_fold(first, |value, name| value.get(name))? {
        Value::Bool(truth) => Some(*truth),
        Value::Number(number) => match number.as_f64()? {
            0.0 => Some(false),
            1.0 => Some(true),
            _ => None,
        },
        Value::String(text) => match text.to_ascii_lowercase().as_str() {
            "1" | "true" => Some(true),
            "0" | "false" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn reservoir_has_no_label(reservoir: &Reservoir) -> bool {
    !reservoir.kept.is_empty() && reservoir.kept.iter().all(|(_, label)| label.is_none())
}

/// Takes events, one after another.
pub(super) struct Sink<'a> {
    featurizer: &'a mut Featurizer,
    pub(super) label: Option<&'a str>,
    reservoir: Reservoir,
    row: Vec<f64>,
    read: u64,
    left_out: u64,
    first_fault: Option<Fault>,
}

impl Sink<'_> {
    pub(super) fn take(&mut self, payload: &[u8], label: Option<bool>) {
        self.read += 1;
        match self.featurizer.decode(payload, Need::Features, &mut self.row) {
            Ok(_) => self.reservoir.take(&self.row, label),
            Err(faults) => {
                self.left_out += 1;
                if self.first_fault.is_none() {
                    self.first_fault = faults.into_iter().next();
                }
            }
        }
    }

    /// Counts what cannot even be read as an event.
    pub(super) fn leave_out(&mut self, fault: Fault) {
        self.read += 1;
        self.left_out += 1;
        self.first_fault.get_or_insert(fault);
    }
}

/// Some of the rows, each as likely as any other (algorithm R, Vitter 1985); the same ones for the same rows and seed.
struct Reservoir {
    kept: Vec<(Box<[f64]>, Option<bool>)>,
    limit: usize,
    seen: u64,
    rng: Xoshiro256PlusPlus,
}

impl Reservoir {
    fn new(limit: usize, seed: u64) -> Self {
        Self { kept: Vec::new(), limit, seen: 0, rng: Xoshiro256PlusPlus::seed_from_u64(seed) }
    }

    fn take(&mut self, row: &[f64], label: Option<bool>) {
        self.seen += 1;
        if self.kept.len() < self.limit {
            self.kept.push((row.into(), label));
            return;
        }
        let place = usize::try_from(self.rng.random_range(0..self.seen)).unwrap_or(usize::MAX);
        if let Some(kept) = self.kept.get_mut(place) {
            *kept = (row.into(), label);
        }
    }
}

/// A file that tells how much was read of it.
struct Counted<'a, P> {
    file: File,
    progress: &'a mut P,
}

impl<P: FnMut(u64)> Read for Counted<'_, P> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read(buffer)?;
        (self.progress)(read as u64);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_as_likely_to_be_kept() {
        let mut times = [0_u32; 50];
        for seed in 0..2000 {
            let mut reservoir = Reservoir::new(10, seed);
            (0..50_u32).for_each(|row| reservoir.take(&[f64::from(row)], None));
            assert_eq!(reservoir.kept.len(), 10);
            reservoir.kept.iter().for_each(|(row, _)| times[row[0] as usize] += 1);
        }
        // 400 each, with a standard deviation of 18.
        assert!(times.iter().all(|&times| (290..510).contains(&times)), "{times:?}");
    }
}
