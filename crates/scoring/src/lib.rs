//! The scorer port's two sides: in process, a trained model (scaling, isolation forest, threshold) and a scorer around it;
//! and remote, the [Open Inference Protocol](oip) and, with the feature `remote`, a client of it.
//!
//! # Invariants
//! - No I/O, no clock, but in `remote`. Equal rows and settings give an equal model, with an equal version, on every machine.
//! - What a model answers never changes. Another one has another version. How far what it is asked has moved from what it was
//!   trained on is [counted](Drift) in it.
//! - The score of a row does not depend on the batch that it comes in.
//!
//! ```
//! use pulse_core::Matrix;
//! use pulse_core::use_case::{ForestKind, ForestSettings};
//! use pulse_scoring::Model;
//! # fn main() -> Result<(), pulse_scoring::ScoringError> {
//! let mut rows = Matrix::with_capacity(2, 100);
//! for i in 0..100 {
//!     rows.push(&[f64::from(i % 10), f64::from(i % 7)]);
//! }
//! let settings = ForestSettings {
//!     features: None, kind: ForestKind::Plain, trees: 50, sample_size: 64, seed: 1, expected_rate: 0.01, threshold: None, decides: true,
//! };
//! let model = Model::train(&rows, &["fare".to_owned(), "tip".to_owned()], &settings)?;
//! let mut odd = Matrix::with_capacity(2, 1);
//! odd.push(&[3.0, 900.0]);
//! let (scores, shares) = model.explain(&odd);
//! assert!(scores[0] > 0.5 && shares[0][1] > shares[0][0]);
//! # Ok(()) }
//! ```

mod error;

mod columns;
mod drift;
mod scaling;
mod threshold;
mod version;

mod info;
mod model;
mod stored;

mod local;

pub mod oip;
#[cfg(feature = "remote")]
mod remote;

pub use drift::{Bins, Drift, DriftReport};
pub use error::{ScoreError, ScoringError, StoredModelError};
pub use info::{ColumnInfo, ModelInfo, ScoreQuantile};
pub use local::LocalScorer;
pub use model::Model;
#[cfg(feature = "remote")]
pub use remote::{
    EventualScorer, RemoteError, RemoteMetrics, RemoteOptions, RemoteScorer, RemoteServer, Resolve, Resolving,
    WithoutModel,
};
pub use stored::StoredModel;
