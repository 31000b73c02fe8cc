//! What can go wrong with Postgres, in plain words, and what can be done about it.

use std::time::Duration;

use pulse_core::{Classify, ErrorClass};
use sqlx::migrate::MigrateError;

/// Why a call to the database failed. Nothing of a failed call is visible, unless only the answer to its commit was lost.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PostgresError {
    /// No server answers, or it is starting, stopping or out of connections.
    #[error("cannot reach Postgres at {server}: check that it runs, and that host and port are right")]
    Away {
        /// Host and port.
        server: String,
        /// Why.
        source: sqlx::Error,
    },
    /// The server took the question and says nothing.
    #[error("Postgres at {server} has not answered for {} s", limit.as_secs())]
    Silent {
        /// Host and port.
        server: String,
        /// For how long it was waited.
        limit: Duration,
    },
    /// The server gave up waiting, for a lock or for the end of a statement.
    #[error("Postgres at {server} was too busy for a statement")]
    Busy {
        /// Host and port.
        server: String,
        /// What it says.
        source: sqlx::Error,
    },
    /// No room is left.
    #[error("the disk of Postgres at {server} is full: make room")]
    DiskFull {
        /// Host and port.
        server: String,
        /// What it says.
        source: sqlx::Error,
    },
    /// The server takes no changes, as a standby does.
    #[error("Postgres at {server} is read-only: give the address of the primary, or wait until this one is promoted")]
    ReadOnly {
        /// Host and port.
        server: String,
        /// What it says.
        source: sqlx::Error,
    },
    /// The server does not let this role in.
    #[error("Postgres at {server} does not let {user:?} in: check user and password, and the server's pg_hba.conf")]
    Login {
        /// Host and port.
        server: String,
        /// The role.
        user: String,
        /// What it says.
        source: sqlx::Error,
    },
    /// There is no such database.
    #[error(
        "Postgres at {server} has no database {database:?}: make it (createdb --owner={user} {database}), or name another"
    )]
    NoDatabase {
        /// Host and port.
        server: String,
        /// The database.
        database: String,
        /// The role.
        user: String,
        /// What it says.
        source: sqlx::Error,
    },
    /// The role lacks a right.
    #[error(
        "the role {user:?} lacks a right on {database:?} in Postgres at {server}: \
         let it own the database (ALTER DATABASE {database} OWNER TO {user})"
    )]
    Forbidden {
        /// Host and port.
        server: String,
        /// The database.
        database: String,
        /// The role.
        user: String,
        /// What it says.
        source: sqlx::Error,
    },
    /// The connection cannot be encrypted as wanted.
    #[error("cannot talk to Postgres at {server} over TLS as wanted: check the settings of TLS on both sides")]
    Tls {
        /// Host and port.
        server: String,
        /// Why.
        source: sqlx::Error,
    },
    /// This build cannot encrypt.
    #[error("this build has no TLS for Postgres: build it with the feature postgres-tls, or choose disable or prefer")]
    NoTls,
    /// The server cannot do what is needed.
    #[error("Postgres at {server} is unfit: {reason}")]
    Unfit {
        /// Host and port.
        server: String,
        /// What is wrong, and the mend.
        reason: String,
    },
    /// There are no tables, or other ones.
    #[error(
        "the database {database:?} in Postgres at {server} lacks our tables: start the anomaly-writer, which makes them"
    )]
    NoTables {
        /// Host and port.
        server: String,
        /// The database.
        database: String,
        /// What it says.
        source: sqlx::Error,
    },
    /// The tables were made by a newer version.
    #[error(
        "the tables of {database:?} were made by a newer version of this program (schema {found}, this one knows {known}): \
         use that version, or another database"
    )]
    NewerSchema {
        /// The database.
        database: String,
        /// Its schema version.
        found: i64,
        /// The latest version that this program knows.
        known: i64,
    },
    /// The tables could not be brought up to date.
    #[error("cannot bring the tables of {database:?} up to date")]
    Migration {
        /// The database.
        database: String,
        /// Why.
        source: MigrateError,
    },
    /// A span of anomalies does not follow what is stored.
    #[error(
        "the anomalies {from}..{to} of partition {partition} of {topic:?} do not follow the stored end {stored}: \
         another writer is at work, or the database or the topic was made anew"
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
    /// A row that makes no sense.
    #[error("anomaly {sequence} in the database is damaged: {reason}")]
    Damaged {
        /// Its sequence.
        sequence: u64,
        /// What is wrong.
        reason: String,
    },
    /// Anything else that the server says.
    #[error("Postgres at {server} refused a statement")]
    Database {
        /// Host and port.
        server: String,
        /// What it says.
        source: sqlx::Error,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

impl Classify for PostgresError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Away { .. }
            | Self::Silent { .. }
            | Self::Busy { .. }
            | Self::DiskFull { .. }
            | Self::ReadOnly { .. } => ErrorClass::Retry,
            Self::Unstorable { .. } => ErrorClass::DeadLetter,
            _ => ErrorClass::Fatal,
        }
    }
}
