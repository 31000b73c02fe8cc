//! Takes anomalies from their topic into the database, each exactly once.
//!
//! # Invariants
//! - Where reading goes on is stored with the rows, in one transaction; the log's own positions are not used. So a
//!   restart anywhere neither loses nor doubles an anomaly.
//! - What cannot be parsed or stored goes to the dead-letter topic unchanged, before the span that it stood in is
//!   stored. A restart in between writes that dead letter again: dead letters are at least once, and carry in
//!   `pulse-origin` what tells repetitions apart. Only one that is larger than that topic takes is cut, and says so.
//! - A database that is away stops nothing but the progress: the writer waits, and the log keeps what comes.

mod error;
mod metrics;
mod options;

mod dead_letter;
mod pending;
mod writer;

pub use error::WriterError;
pub use metrics::Metrics;
pub use options::{WriterOptions, WriterReport};
pub use writer::run;
