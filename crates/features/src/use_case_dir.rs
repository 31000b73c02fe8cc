//! A use case's folder: `config.yaml`, and beside it, where they exist, `features.vrl` and `sample.csv`.

mod infer;
mod lines;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pulse_core::use_case::raw::RawUseCase;
use pulse_core::use_case::{ConfigFault, UseCase};
use xxhash_rust::xxh3::Xxh3;

use crate::derive::{self, Derivation};
use crate::error::{LoadFault, SampleError, UseCaseError};
use crate::featurizer;
use crate::sample::Sample;

/// Name of the configuration file.
const CONFIG: &str = "config.yaml";
/// Name of the sample file.
const SAMPLE: &str = "sample.csv";

/// A use case, loaded and found to be without faults.
#[derive(Debug, Clone)]
pub struct UseCaseDir {
    /// Its folder.
    pub path: PathBuf,
    /// What `config.yaml` says.
    pub use_case: UseCase,
    /// The XXH3 hash of `config.yaml` and `features.vrl`, as 16 hexadecimal digits.
    pub config_version: String,
    /// The text of `features.vrl`.
    pub program: Option<String>,
    derivation: Option<Arc<Derivation>>,
}

impl UseCaseDir {
    /// Loads the use case `name` from the folder `usecases`.
    ///
    /// # Errors
    /// When the folder does not exist or cannot be read, and when its files have faults: all of them at once.
    pub fn load(usecases: &Path, name: &str) -> Result<Self, UseCaseError> {
        let path = usecases.join(name);
        // A name with a separator would leave the folder of use cases.
        let is_name = Path::new(name).components().count() == 1 && !name.starts_with('.');
        if !is_name || !path.join(CONFIG).is_file() {
            let (name, folder) = (name.to_owned(), usecases.to_owned());
            return Err(UseCaseError::NotFound { name, folder, known: list(usecases) });
        }
        let config = read(&path.join(CONFIG))?;
        let program = read_optional(&path.join(derive::FILE))?;
        let mut raw: RawUseCase =
            serde_saphyr::from_str(&config).map_err(|error| invalid(&path, vec![parse(&error)]))?;
        let sample = path.join(SAMPLE);
        infer::types(&mut raw, &sample)?;
        let use_case = UseCase::try_from(raw).map_err(|faults| invalid(&path, locate(faults, &config)))?;
        let mut faults = locate(beyond_core(&use_case, name), &config);
        let derivation = match program.as_deref().map(|source| Derivation::compile(source, &use_case.features)) {
            None => None,
            Some(Ok(derivation)) => Some(Arc::new(derivation)),
            Some(Err(found)) => {
                faults.extend(found);
                return Err(invalid(&path, faults));
            }
        };
        faults.extend(locate(unknown_columns(&use_case, derivation.as_deref()), &config));
        if !faults.is_empty() {
            return Err(invalid(&path, faults));
        }
        let config_version = version(&config, program.as_deref());
        Ok(Self { path, use_case, config_version, program, derivation })
    }

    /// The sample; none where the folder has no `sample.csv`.
    ///
    /// # Errors
    /// When it cannot be read or has a fault.
    pub fn sample(&self) -> Result<Option<Sample>, SampleError> {
        let path = self.path.join(SAMPLE);
        if path.is_file() { Sample::read(&path, &self.use_case).map(Some) } else { Ok(None) }
    }

    /// The compiled `features.vrl`.
    pub(crate) fn derivation(&self) -> Option<&Arc<Derivation>> {
        self.derivation.as_ref()
    }
}

/// The use cases that exist, in the order of their names.
fn list(usecases: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(usecases) else { return Vec::new() };
    let mut names: Vec<String> = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.path().join(CONFIG).is_file())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

fn read(path: &Path) -> Result<String, UseCaseError> {
    std::fs::read_to_string(path).map_err(|source| UseCaseError::Read { path: path.to_owned(), source })
}

fn read_optional(path: &Path) -> Result<Option<String>, UseCaseError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(UseCaseError::Read { path: path.to_owned(), source }),
    }
}

fn invalid(folder: &Path, faults: Vec<LoadFault>) -> UseCaseError {
    UseCaseError::Invalid { folder: folder.to_owned(), faults }
}

fn parse(error: &serde_saphyr::Error) -> LoadFault {
    let line = error.location().and_then(|location| usize::try_from(location.line()).ok()).filter(|&line| line > 0);
    LoadFault { file: CONFIG, line, message: error.without_snippet().to_string() }
}

fn locate(faults: Vec<ConfigFault>, config: &str) -> Vec<LoadFault> {
    if faults.is_empty() {
        return Vec::new();
    }
    let lines = lines::Lines::of(config);
    let located = |fault: ConfigFault| {
        let line = lines.find(&fault.path);
        LoadFault { file: CONFIG, line, message: fault.to_string() }
    };
    faults.into_iter().map(located).collect()
}

/// Faults that only show beside the folder and the form of events.
fn beyond_core(use_case: &UseCase, folder: &str) -> Vec<ConfigFault> {
    let mut faults = Vec::new();
    if use_case.name != folder {
        let message = format!("{:?} must be the folder's name, {folder:?}", use_case.name);
        faults.push(ConfigFault { path: "name".to_owned(), message });
    }
    for (path, clash) in featurizer::path_clashes(use_case) {
        let (outer, inner) = (clash.outer, clash.inner);
        let message = format!("{inner:?} lies within {outer:?}: a field is either a value or an object");
        faults.push(ConfigFault { path, message });
    }
    faults
}

/// Detectors' features that are no columns.
fn unknown_columns(use_case: &UseCase, derivation: Option<&Derivation>) -> Vec<ConfigFault> {
    let columns = featurizer::columns(&use_case.features, derivation);
    let detectors = &use_case.detectors;
    let wanted = [
        ("isolation_forest", detectors.forest.as_ref().and_then(|forest| forest.features.as_ref())),
        ("rolling_zscore", detectors.rolling.as_ref().and_then(|rolling| rolling.features.as_ref())),
    ];
    let mut faults = Vec::new();
    for (detector, features) in wanted {
        for (i, feature) in features.into_iter().flatten().enumerate() {
            if !columns.iter().any(|column| column.name == *feature) {
                let known: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
                let message = format!("{feature:?} is no numeric column: there are {}", known.join(", "));
                faults.push(ConfigFault { path: format!("detectors.{detector}.features[{i}]"), message });
            }
        }
    }
    if columns.is_empty() {
        let message = "none is numeric, and nothing is derived: a detector needs a number".to_owned();
        faults.push(ConfigFault { path: "features".to_owned(), message });
    }
    faults
}

fn version(config: &str, program: Option<&str>) -> String {
    let mut hash = Xxh3::new();
    // The length keeps text from moving unnoticed from one file to the other.
    hash.update(&(config.len() as u64).to_le_bytes());
    hash.update(config.as_bytes());
    hash.update(program.unwrap_or_default().as_bytes());
    format!("{:016x}", hash.digest())
}

#[cfg(test)]
mod tests;
