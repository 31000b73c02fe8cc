//! Why the writer ended before it was told to.

use std::error::Error;

/// Why the writer ended. What it had not stored yet stays in the log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriterError {
    /// The log cannot be read.
    #[error("cannot read anomalies from the log")]
    Source(#[source] Box<dyn Error + Send + Sync>),
    /// The database refuses.
    #[error("cannot store anomalies")]
    Store(#[source] Box<dyn Error + Send + Sync>),
    /// Dead letters cannot be written.
    #[error("cannot write dead letters")]
    DeadLetters(#[source] Box<dyn Error + Send + Sync>),
}
