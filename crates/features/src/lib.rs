//! From a use case's folder to numbers: reads `config.yaml`, `features.vrl` and `sample.csv`, decodes and validates
//! events, and derives columns from them.
//!
//! The stream processor and the ML service share this crate, so that both see the same numbers for the same event.
//!
//! # Invariants
//! - No clock, no randomness, no network: the columns of an event depend on its bytes and on the folder alone.
//! - No input makes it panic; what is wrong with an event becomes a list of [`Fault`]s.

mod check;
mod column;
mod decode;
mod derive;
mod error;
mod fault;
mod featurizer;
mod instant;
mod rule;
mod sample;
mod use_case_dir;

pub use check::{ColumnOutline, FeatureOutline, MemoryOutline, Outline, Report, SampleOutline, check};
pub use column::Column;
pub use error::{LoadFault, SampleError, UseCaseError};
pub use fault::Fault;
pub use featurizer::{Decoded, Featurizer, Need, check_entity};
pub use instant::{format_rfc3339, is_storable, parse_rfc3339};
pub use sample::{CsvEvents, Sample, SampleRow};
pub use use_case_dir::{UseCaseDir, list_use_cases};
