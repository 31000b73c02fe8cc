//! Durable homes of the event log, of state and positions, and of anomalies; the only crate that names sqlx.
//!
//! [`EmbeddedStore`] keeps all of it in one SQLite file, behind the ports of [`pulse_core::ports`]. `PostgresStore`, with the
//! feature `postgres`, keeps anomalies in a database that several processes share; the log is Kafka then.
//!
//! # Invariants
//! - Whatever must become visible together is written in one SQLite transaction, so a killed process leaves the log,
//!   state, positions and anomalies of whole transactions behind, and nothing else.
//! - Offsets are dense in each partition, and are never given twice.
//! - One connection writes; readers never wait for it, nor it for them.
//! - Batches that some group has not committed past are never dropped, nor the last batch of a partition. A topic that
//!   no group ever read, such as one of dead letters, ages and counts as the others do.
//! - With `synchronous = NORMAL` a crash of the process loses nothing; a power cut may lose the last transactions, but
//!   leaves the file whole.

mod error;

mod codec;
mod rows;

mod embedded;
#[cfg(feature = "postgres")]
mod postgres;

pub use embedded::{
    EmbeddedAnomalyStore, EmbeddedCommitter, EmbeddedProducer, EmbeddedQuery, EmbeddedReader, EmbeddedSource,
    EmbeddedStore, Retained, Retention,
};
pub use error::{OpenError, StoreError};
#[cfg(feature = "postgres")]
pub use postgres::{
    PostgresAnomalyStore, PostgresError, PostgresQuery, PostgresRetained, PostgresSettings, PostgresStore, PostgresTls,
    UnknownTls,
};
