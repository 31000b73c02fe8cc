//! A use case's folder: `config.yaml`, and beside it, where they exist, `features.vrl` and `sample.csv`.

mod examine;
mod infer;
mod yaml;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pulse_core::use_case::UseCase;
use regex::Regex;
use xxhash_rust::xxh3::Xxh3;

use crate::derive::Derivation;
use crate::error::{SampleError, UseCaseError};
use crate::rule::Rule;
use crate::sample::Sample;

pub(crate) use examine::{Examined, Places};

/// Name of the configuration file.
pub(crate) const CONFIG: &str = "config.yaml";
/// Name of the sample file.
pub(crate) const SAMPLE: &str = "sample.csv";

/// Name of the folder of models, unless they are kept elsewhere.
pub(crate) const MODELS: &str = "models";

/// A use case, loaded and found to be without faults.
#[derive(Debug, Clone)]
pub struct UseCaseDir {
    /// Its folder.
    pub path: PathBuf,
    /// The folder of its models.
    pub models: PathBuf,
    /// What `config.yaml` says.
    pub use_case: UseCase,
    /// The XXH3 hash of `config.yaml` and `features.vrl`, as 16 hexadecimal digits.
    pub config_version: String,
    /// The text of `features.vrl`.
    pub program: Option<String>,
    compiled: Arc<Compiled>,
}

/// What runs on every event.
#[derive(Debug)]
pub(crate) struct Compiled {
    /// `features.vrl`.
    pub(crate) derivation: Option<Arc<Derivation>>,
    /// The rules, in their order.
    pub(crate) rules: Vec<Rule>,
    /// The pattern of each feature.
    pub(crate) patterns: Vec<Option<Regex>>,
}

impl UseCaseDir {
    /// Loads the use case `name` from the folder `usecases`.
    ///
    /// # Errors
    /// When the folder does not exist or cannot be read, and when its files have faults: all of them at once.
    pub fn load(usecases: &Path, name: &str) -> Result<Self, UseCaseError> {
        let Examined { dir, faults, sample_error, .. } = examine::examine(usecases, name)?;
        match dir {
            Some(dir) if faults.is_empty() => sample_error.map_or(Ok(dir), |error| Err(error.into())),
            _ => Err(UseCaseError::Invalid { folder: usecases.join(name), faults }),
        }
    }

    /// The same, its models in its folder of `root`, where that is given, instead of `models` in its own.
    #[must_use]
    pub fn with_models_in(mut self, root: Option<&Path>) -> Self {
        if let Some(root) = root {
            self.models = root.join(&self.use_case.name);
        }
        self
    }

    /// The use case as far as it can be read, with all its faults.
    pub(crate) fn examine(usecases: &Path, name: &str) -> Result<Examined, UseCaseError> {
        examine::examine(usecases, name)
    }

    /// The sample; none where the folder has no `sample.csv`.
    ///
    /// # Errors
    /// When it cannot be read or has a fault.
    pub fn sample(&self) -> Result<Option<Sample>, SampleError> {
        let path = self.path.join(SAMPLE);
        if path.is_file() { Sample::read(&path, &self.use_case).map(Some) } else { Ok(None) }
    }

    /// Fingerprint of what the columns of an event depend on: the features, their types, and `features.vrl`. 16 hexadecimal
    /// digits. Limits, thresholds and descriptions change nothing of it.
    #[must_use]
    pub fn schema_hash(&self) -> String {
        let features = self.use_case.features.iter();
        let described: String = features.map(|feature| format!("{:?} {:?}\n", feature.name, feature.kind)).collect();
        version(&described, self.program.as_deref())
    }

    /// What runs on every event.
    pub(crate) fn compiled(&self) -> &Arc<Compiled> {
        &self.compiled
    }
}

/// The use cases in the folder `usecases`, in the order of their names.
#[must_use]
pub fn list_use_cases(usecases: &Path) -> Vec<String> {
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
