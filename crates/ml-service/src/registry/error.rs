//! What can be wrong with stored versions.

use std::io;
use std::path::PathBuf;

/// Why a version cannot be stored, read or put in force.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// A file or folder cannot be read or written.
    #[error("cannot {what} {}", path.display())]
    Io {
        /// What was to be done.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why it cannot.
        source: io::Error,
    },
    /// There is no such version.
    #[error("there is no model version {version:?}; there are: {}", if known.is_empty() { "none" } else { known })]
    Unknown {
        /// What was asked for.
        version: String,
        /// What there is.
        known: String,
    },
    /// A file does not say what it should.
    #[error("{} is damaged ({reason}): train anew, or put another version in force", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The model is not one of this use case, as it is now.
    #[error("model version {version} does not fit the use case: {reason}")]
    Misfit {
        /// The version.
        version: String,
        /// Why it does not.
        reason: String,
    },
    /// It cannot be a candidate.
    #[error("model version {version} cannot be a candidate: {reason}")]
    NoCandidate {
        /// The version.
        version: String,
        /// Why it cannot.
        reason: String,
    },
    /// It is in force, or a candidate.
    #[error("model version {0} is used: put another one in force first, or take it back as a candidate")]
    InUse(String),
    /// There was no version before.
    #[error("there is no version to go back to")]
    NoVersionBefore,
    /// Somebody else trains.
    #[error("somebody else trains a model of this use case now: {} is locked", path.display())]
    Locked {
        /// The lock.
        path: PathBuf,
    },
}
