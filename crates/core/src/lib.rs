//! The vocabulary of Stream Pulse: use cases, events, anomaly records, and the ports behind which logs, stores and
//! scorers stand.
//!
//! # Invariants
//! - No I/O, no clock, no global state: everything here is a value, a pure function or a trait.
//! - Nothing here names a vendor. Kafka, SQLite, Postgres and HTTP live behind the traits of [`ports`].

mod backoff;
mod error;
pub mod metric_names;
pub mod names;
mod nearest;
mod partition;
mod record;

pub mod use_case;

mod anomaly;
mod matrix;
pub mod ports;

pub use anomaly::{Anomaly, AnomalyId, DetectorVerdict, Expected, Severity};
pub use backoff::Backoff;
pub use error::{Classify, ErrorClass};
pub use matrix::Matrix;
pub use nearest::nearest;
pub use partition::{murmur2, partition_of};
pub use record::{Headers, NewRecord, Record, RecordBatch, TimestampMs};
pub use use_case::UseCase;
