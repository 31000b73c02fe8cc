//! Why there is no forest.

use crate::node::MAX_COLUMNS;
use crate::params::MAX_SAMPLE_SIZE;

/// Why parameters were refused, or a forest could not be fitted.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ForestError {
    /// A forest without trees.
    #[error("a forest needs at least one tree")]
    NoTrees,
    /// The sample of a tree is too small or too large.
    #[error("sample size {0} is not between 2 and {MAX_SAMPLE_SIZE}")]
    SampleSize(u32),
    /// The dataset has no rows.
    #[error("a forest cannot be fitted on no rows")]
    NoRows,
    /// The dataset has no columns.
    #[error("a forest cannot be fitted on no columns")]
    NoColumns,
    /// The dataset has too many columns.
    #[error("{0} columns are more than the {MAX_COLUMNS} that a forest can split on")]
    TooManyColumns(usize),
    /// What linfa itself found wrong.
    #[error("invalid dataset")]
    Linfa(#[from] linfa::Error),
}
