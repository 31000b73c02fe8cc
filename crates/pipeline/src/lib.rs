//! From event to verdict: validate, derive, detect, decide.
//!
//! A [`PartitionPipeline`] takes the batches of one partition in order. [`prepare`](PartitionPipeline::prepare) validates the
//! events, derives their columns and runs the per-entity detectors; the rows that it leaves are scored by whoever holds a
//! model; [`judge`](PartitionPipeline::judge) decides and writes the records to be committed.
//!
//! # Invariants
//! - Synchronous and deterministic: a verdict depends on the events before it in its partition and on the versions in force.
//!   The clock is passed in, and reaches nothing but `detected_at`.
//! - An event's label is read after its verdict, and only to measure.
//! - Nothing is dropped: an event becomes a verdict, a dead letter with its reasons, or is counted as another use case's.

mod columns;
mod emit;
mod judge;
mod outcome;
mod partition;
mod plan;
mod state;
mod versions;

pub use columns::{ColumnBuckets, ColumnCounts, MAX_BOUNDS};
pub use judge::Prepared;
pub use outcome::{Counts, Judged, Outcome};
pub use partition::{PartitionPipeline, Restoration};
pub use plan::{DETECTOR_FOREST, DETECTOR_ROLLING, Plan, PlanError};
pub use versions::Versions;
