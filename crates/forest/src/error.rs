//! Why there is no forest.

use crate::layout::MAX_COLUMNS;
use crate::params::{MAX_COLUMNS_PER_SPLIT, MAX_SAMPLE_SIZE};

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
    /// The smallest sample of a tree is too small, or larger than the largest.
    #[error("smallest sample {smallest} is not between 2 and the sample size {largest}")]
    SmallestSample {
        /// What was set.
        smallest: u32,
        /// The sample size.
        largest: u32,
    },
    /// Splits cannot look at so many columns.
    #[error("{0} columns per split are not between 1 and {MAX_COLUMNS_PER_SPLIT}")]
    ColumnsPerSplit(u32),
    /// Trees cannot be so much deeper.
    #[error("depth factor {0} is not between 1 and 8")]
    DepthFactor(u32),
    /// Density cannot count so much.
    #[error("density weight {0} is not between 0 and 1")]
    DensityWeight(f64),
    /// The dataset has no rows.
    #[error("a forest cannot be fitted on no rows")]
    NoRows,
    /// The dataset has too many rows.
    #[error("{0} rows are more than a forest can be fitted on")]
    TooManyRows(usize),
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
