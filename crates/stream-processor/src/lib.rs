//! The stream processor: reads the input topic, judges every event, commits verdicts, state and positions together.
//!
//! ```text
//! source loop ──► worker threads (partition % workers) ──► commit task
//! one async task   validate, derive, detect, score, judge   a transaction for each partition, all at once
//! ```
//!
//! The batches of a partition stay in order: one worker has it, and channels are first in, first out. Channels are bounded, so
//! that slow workers slow reading down. A partition whose commits wait for long is not read meanwhile; the others are, and who
//! takes partitions over is heard. While a commit is under way the next one fills: commits grow with load, and latency stays
//! near that of one commit.
//!
//! # Invariants
//! - Anomalies, dead letters, state and position of a partition become visible in one transaction, or not at all.
//! - A partition is read once it was taken over, which is done beside the work on the others.
//! - Stopping drains: what was read is judged and committed, and a last snapshot spares the next start its replay. Only then
//!   are the partitions given back.

mod anomaly_log;
mod commit;
mod committing;
mod holdings;
mod load;
mod metrics;
mod oversize;
mod progress;
mod quality;
mod reader;
mod restore;
mod retry;
mod run;
mod trouble;
mod use_case_metrics;
mod worker;

pub use metrics::Metrics;
pub use progress::{Progress, Summary};
pub use quality::{GenuineOutliers, KindQuality, Quality, QualityReport};
pub use run::{Options, Processor, ProcessorError};
