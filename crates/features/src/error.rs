//! Why a use case's folder cannot be used.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

/// One fault of a file of the folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LoadFault {
    /// The file's name, such as `config.yaml`.
    pub file: &'static str,
    /// Line, counted from 1, where it is known.
    pub line: Option<usize>,
    /// Path of the key, such as `features[2].minimum`, or name of the column; empty for the file as a whole.
    pub path: String,
    /// What is wrong, and the mend.
    pub message: String,
}

impl fmt::Display for LoadFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", self.path)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Why a use case could not be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UseCaseError {
    /// There is no such folder.
    #[error("no use case {name:?} in {}: {}", .folder.display(), list_of(.known))]
    NotFound {
        /// The name asked for.
        name: String,
        /// The folder that holds the use cases.
        folder: PathBuf,
        /// Those that exist.
        known: Vec<String>,
    },
    /// A file could not be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Its files have faults: all of them, in the order of files and keys.
    #[error("{}", all_of(.folder, .faults))]
    Invalid {
        /// The use case's folder.
        folder: PathBuf,
        /// What is wrong.
        faults: Vec<LoadFault>,
    },
    /// Types were to be inferred from the sample, which has faults.
    #[error(transparent)]
    Sample(#[from] SampleError),
}

/// Why the sample cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SampleError {
    /// It could not be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It is no well-formed CSV.
    #[error("{} is no well-formed CSV file", .path.display())]
    Csv {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: csv::Error,
    },
    /// Its header has a fault.
    #[error("{}:1: {message}", .path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// What is wrong, and the mend.
        message: String,
    },
    /// A cell has a fault.
    #[error("{}:{line}: column {column:?}: {value:?} {message}", .path.display())]
    Cell {
        /// The file.
        path: PathBuf,
        /// Line of the file, counted from 1.
        line: u64,
        /// Name of the column.
        column: String,
        /// What the cell holds.
        value: String,
        /// What is wrong, and the mend.
        message: String,
    },
    /// It has too few rows.
    #[error("{} has {rows} rows: it takes at least 2, one to train on and one to replay", .path.display())]
    TooShort {
        /// The file.
        path: PathBuf,
        /// Number of rows.
        rows: usize,
    },
}

fn list_of(known: &[String]) -> String {
    if known.is_empty() { "there is none there".to_owned() } else { format!("there are {}", known.join(", ")) }
}

fn all_of(folder: &std::path::Path, faults: &[LoadFault]) -> String {
    let mut text = format!("the use case in {} has {} fault(s):", folder.display(), faults.len());
    for fault in faults {
        text.push_str("\n  ");
        text.push_str(&fault.to_string());
    }
    text
}
