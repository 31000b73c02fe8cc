//! Training rows from files of events.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};

use pulse_features::{CsvEvents, Fault, Featurizer, SampleError, UseCaseDir};

use super::sink::{Gathered, Sink, truth};
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

/// Reads all events and derives their columns; `progress` is told how many bytes were read.
pub(super) fn gather(
    dir: &UseCaseDir,
    featurizer: &mut Featurizer,
    files: &Files,
    mut progress: impl FnMut(u64),
) -> Result<Gathered, TrainingError> {
    let mut sink = Sink::new(dir, featurizer, files.label.as_deref(), files.max_rows);
    for path in &files.paths {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("csv") => csv(path, dir, &mut sink, &mut progress)?,
            Some("jsonl" | "ndjson" | "json") => lines(path, &mut sink, &mut progress)?,
            #[cfg(feature = "parquet")]
            Some("parquet") => super::parquet::rows(path, &mut sink, &mut progress)?,
            _ => return Err(TrainingError::UnknownFormat { path: path.clone() }),
        }
    }
    if let Some(label) = files.label.as_ref().filter(|_| sink.has_no_label()) {
        let path = files.paths.first().cloned().unwrap_or_default();
        return Err(TrainingError::NoLabel { path, label: label.clone() });
    }
    Ok(sink.finish())
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
            sink.take_json(&line);
        }
        line.clear();
    }
    Ok(())
}

pub(super) fn open(path: &Path) -> Result<File, SampleError> {
    File::open(path).map_err(|source| SampleError::Read { path: path.to_owned(), source })
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
