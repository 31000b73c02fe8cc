//! Isolation forest: anomaly scores for rows of numbers, behind linfa's `Fit` and `Predict`.
//!
//! The method is that of Liu, Ting and Zhou, *Isolation Forest* (ICDM 2008): each tree splits a sample of the rows at
//! random, and a row that is cut off after few splits is an anomaly. With `h(x)` the number of splits and `c(n)` the
//! mean number in a random tree of `n` rows, the score is `s(x) = 2^(-E[h(x)] / c(sample size))`; about 0.5 is average.
//!
//! # Invariants
//! - No I/O, no clock, no global random numbers: equal rows, parameters and seed give an equal forest, and equal scores
//!   to the last bit on every machine.
//! - A score lies in `(0, 1]`; higher is more anomalous. It depends on its row alone, not on the batch around it.
//! - Values are compared as `f32`, in fitting and in scoring, and clamped to its finite range.
//! - A missing value (`NaN`) goes, at every split, to the side that got more of the training rows.
//!
//! ```
//! use linfa::Dataset;
//! use linfa::traits::{Fit, Predict};
//! use ndarray::array;
//! use pulse_forest::{ForestParams, IsolationForest};
//! # fn main() -> Result<(), pulse_forest::ForestError> {
//! let rows = array![[0.1, 0.2], [0.2, 0.1], [0.15, 0.15], [0.1, 0.1], [9.0, 0.2]];
//! let forest: IsolationForest = ForestParams::default().seed(7).fit(&Dataset::from(rows.clone()))?;
//! let scores = forest.predict(&rows);
//! assert!(scores[4] > scores[0]);
//! let shares = forest.contributions(&[9.0, 0.2]);
//! assert!(shares[0] > shares[1], "the first column is what is wrong");
//! # Ok(()) }
//! ```

mod error;
mod params;

mod layout;
mod path_length;
mod sample;
mod tree;

mod node;
mod plane;

mod grow;

mod codec;
mod explain;
mod forest;

pub use codec::DecodeError;
pub use error::ForestError;
pub use forest::IsolationForest;
pub use layout::MAX_COLUMNS;
pub use params::{ForestParams, MAX_COLUMNS_PER_SPLIT, MAX_SAMPLE_SIZE, ValidForestParams};
