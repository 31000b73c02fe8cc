//! Everything that can be found out about a use case's folder before it runs: what `stream-pulse check` says.

mod outline;
mod sample_faults;

use std::path::Path;

use serde::Serialize;

use crate::error::{LoadFault, UseCaseError};
use crate::use_case_dir::{CONFIG, Examined, Places, UseCaseDir};

pub use outline::{ColumnOutline, FeatureOutline, MemoryOutline, Outline, SampleOutline};

/// What was found out about a use case's folder.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The use case.
    pub name: String,
    /// Everything that is wrong, in the order of files and lines.
    pub faults: Vec<LoadFault>,
    /// What is not wrong, but good to know.
    pub notes: Vec<LoadFault>,
    /// What it is, as far as it can be read.
    pub outline: Option<Outline>,
    /// The use case, where nothing is wrong with it.
    #[serde(skip)]
    pub dir: Option<UseCaseDir>,
    #[serde(skip)]
    places: Places,
}

impl Report {
    fn of(name: &str) -> Self {
        let name = name.to_owned();
        Self { name, faults: Vec::new(), notes: Vec::new(), outline: None, dir: None, places: Places::default() }
    }

    /// What is to be said of the key at `path` of `config.yaml`, such as `simulator.anomalies[2]`, with its line.
    #[must_use]
    pub fn locate(&self, path: &str, message: impl Into<String>) -> LoadFault {
        self.places.locate(path, message.into())
    }
}

/// Checks the use case `name` in the folder `usecases`: its files, and whether the sample obeys its schema and rules.
#[must_use]
pub fn check(usecases: &Path, name: &str) -> Report {
    let examined = match UseCaseDir::examine(usecases, name) {
        Ok(examined) => examined,
        Err(error) => return Report { faults: vec![unreadable(&error)], ..Report::of(name) },
    };
    let Examined { dir, mut faults, inferred, places, .. } = examined;
    let Some(dir) = dir else { return Report { faults, places, ..Report::of(name) } };
    let is_sound = faults.is_empty();
    faults.extend(sample_faults::strays(&inferred));
    let (sample, found) = sample_faults::find(&dir, is_sound);
    faults.extend(found);
    let outline = Some(outline::of(&dir, &inferred, sample.as_ref()));
    let dir = Some(dir).filter(|_| faults.is_empty());
    Report { faults, outline, dir, places, ..Report::of(name) }
}

/// The fault of a folder that cannot be read at all.
fn unreadable(error: &UseCaseError) -> LoadFault {
    let mut message = error.to_string();
    if let Some(cause) = std::error::Error::source(error) {
        message = format!("{message}: {cause}");
    }
    LoadFault { file: CONFIG, line: None, path: String::new(), message }
}

#[cfg(test)]
mod tests;
