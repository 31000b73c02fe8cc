//! What can go wrong with a store, in plain words, and what can be done about it.

use std::path::{Path, PathBuf};

use pulse_core::{Classify, ErrorClass};
use sqlx::migrate::MigrateError;

use crate::codec::CodecError;

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The folder for the file could not be made.
    #[error("cannot create the folder {}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is a database of some other program.
    #[error("{} is an SQLite database of another program: choose another file", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file was written by a newer version.
    #[error(
        "{} was written by a newer version of this program (schema {found}, this one knows {known}): \
         use that version, or choose another file",
        path.display()
    )]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// The latest version that this program knows.
        known: i64,
    },
    /// The schema could not be brought up to date.
    #[error("cannot bring the schema of {} up to date", path.display())]
    Migration {
        /// The file.
        path: PathBuf,
        /// Why.
        source: MigrateError,
    },
    /// The file cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Classify for OpenError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Store(error) => error.class(),
            _ => ErrorClass::Fatal,
        }
    }
}

/// Why a call to a store failed. Nothing of a failed call is visible.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The topic was never created.
    #[error("there is no topic {topic:?}: create it first")]
    UnknownTopic {
        /// The topic.
        topic: String,
    },
    /// The topic exists with another number of partitions.
    #[error("topic {topic:?} has {existing} partitions and cannot be made anew with {wanted}")]
    PartitionCount {
        /// The topic.
        topic: String,
        /// Partitions that it has.
        existing: u32,
        /// Partitions asked for.
        wanted: u32,
    },
    /// The topic has no such partition.
    #[error("topic {topic:?} has no partition {partition}")]
    NoSuchPartition {
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
    },
    /// Somebody else took over.
    #[error(
        "fenced: somebody else has taken over topic {topic:?} for group {group:?}; \
         two processes on one file cannot share a group, so stop one of them"
    )]
    Fenced {
        /// The consumer group.
        group: String,
        /// The topic.
        topic: String,
    },
    /// A commit for a partition that was not taken over by `restore`.
    #[error("partition {partition} of topic {topic:?} was not restored before a commit of group {group:?}")]
    NotRestored {
        /// The consumer group.
        group: String,
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
    },
    /// A commit would move a position backwards.
    #[error("group {group:?} stands at {committed} in partition {partition} of {topic:?}, not to go back to {wanted}")]
    Backwards {
        /// The consumer group.
        group: String,
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
        /// The committed offset.
        committed: u64,
        /// The offset of the refused commit.
        wanted: u64,
    },
    /// A span of anomalies does not follow what is stored.
    #[error(
        "the anomalies {from}..{to} of partition {partition} of {topic:?} do not follow the stored end {stored}: \
         another writer is at work, or the file was exchanged"
    )]
    OutOfStep {
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
        /// Start of the span.
        from: u64,
        /// End of the span.
        to: u64,
        /// Where the stored ones end.
        stored: u64,
    },
    /// One item that cannot be stored as it is.
    #[error("cannot store {item}: {reason}")]
    Unstorable {
        /// What it is.
        item: String,
        /// Why.
        reason: String,
    },
    /// No room is left.
    #[error("the disk or quota that holds {} is full: make room", path.display())]
    DiskFull {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: sqlx::Error,
    },
    /// Another process holds the file's lock.
    #[error("{} is locked by another process", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: sqlx::Error,
    },
    /// The file, or the folder that it lies in, cannot be written.
    #[error("cannot open {} for writing: check that its folder exists and that both may be written", path.display())]
    NotWritable {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: sqlx::Error,
    },
    /// The file is damaged, or no store at all.
    #[error(
        "{} is damaged or no store ({reason}): move it away, with the -wal and -shm files beside it, and start anew",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The operating system could not read or write.
    #[error("cannot read or write {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: sqlx::Error,
    },
    /// Anything else that the database says.
    #[error("the database {} refused a statement", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What it says.
        source: sqlx::Error,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

impl Classify for StoreError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::DiskFull { .. } | Self::Locked { .. } | Self::Io { .. } => ErrorClass::Retry,
            Self::Unstorable { .. } => ErrorClass::DeadLetter,
            _ => ErrorClass::Fatal,
        }
    }
}

impl StoreError {
    /// What an error of SQLite on the file at `path` means. The codes are those of <https://sqlite.org/rescode.html>.
    pub(crate) fn of(path: &Path, source: sqlx::Error) -> Self {
        let path = path.to_owned();
        let code = match &source {
            sqlx::Error::Database(error) => error.code().and_then(|code| code.parse::<i32>().ok()).unwrap_or(0),
            sqlx::Error::Io(_) => 10,
            sqlx::Error::PoolTimedOut => 5,
            sqlx::Error::PoolClosed => return Self::Closed,
            _ => 0,
        };
        // The low byte is the primary code; the rest only says more precisely where it happened.
        match code & 0xff {
            13 => Self::DiskFull { path, source },
            5 | 6 => Self::Locked { path, source },
            3 | 8 | 14 | 23 => Self::NotWritable { path, source },
            11 | 26 => Self::Damaged { path, reason: source.to_string() },
            10 => Self::Io { path, source },
            18..=20 => Self::Unstorable { item: "a row".to_owned(), reason: source.to_string() },
            _ => Self::Database { path, source },
        }
    }

    /// A batch of the log that cannot be read.
    pub(crate) fn damaged_batch(path: &Path, topic: &str, partition: u32, base_offset: u64, error: CodecError) -> Self {
        let reason = format!("batch at offset {base_offset} of partition {partition} of {topic:?}: {error}");
        Self::Damaged { path: path.to_owned(), reason }
    }
}
