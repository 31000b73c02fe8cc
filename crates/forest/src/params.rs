//! Parameters of a forest: unchecked as set, and checked as fitted with.

use linfa::ParamGuard;
use serde::Serialize;

use crate::error::ForestError;

/// The largest sample that a tree can be grown on.
pub const MAX_SAMPLE_SIZE: u32 = 1 << 20;

/// Parameters as they were set. `fit` checks them; so does [`check`](ParamGuard::check).
///
/// The default is that of the paper: 100 trees on 256 rows each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ForestParams(ValidForestParams);

/// Parameters that are known to be valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ValidForestParams {
    trees: u32,
    sample_size: u32,
    seed: u64,
}

impl Default for ForestParams {
    fn default() -> Self {
        Self(ValidForestParams { trees: 100, sample_size: 256, seed: 0 })
    }
}

impl ForestParams {
    /// Number of trees, at least one. More make scores steadier, and cost time in proportion.
    #[must_use]
    pub fn trees(mut self, trees: u32) -> Self {
        self.0.trees = trees;
        self
    }

    /// Rows that each tree is grown on, drawn without replacement, from 2 to [`MAX_SAMPLE_SIZE`]; all rows where there are
    /// fewer. It also limits a tree's depth, to `ceil(log2(sample size))`.
    #[must_use]
    pub fn sample_size(mut self, sample_size: u32) -> Self {
        self.0.sample_size = sample_size;
        self
    }

    /// Seed of all randomness.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.0.seed = seed;
        self
    }
}

impl ValidForestParams {
    /// Number of trees.
    #[must_use]
    pub fn trees(&self) -> u32 {
        self.trees
    }

    /// Rows that each tree is grown on.
    #[must_use]
    pub fn sample_size(&self) -> u32 {
        self.sample_size
    }

    /// Seed of all randomness.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }
}

impl ParamGuard for ForestParams {
    type Checked = ValidForestParams;
    type Error = ForestError;

    fn check_ref(&self) -> Result<&Self::Checked, Self::Error> {
        if self.0.trees == 0 {
            return Err(ForestError::NoTrees);
        }
        if !(2..=MAX_SAMPLE_SIZE).contains(&self.0.sample_size) {
            return Err(ForestError::SampleSize(self.0.sample_size));
        }
        Ok(&self.0)
    }

    fn check(self) -> Result<Self::Checked, Self::Error> {
        self.check_ref()?;
        Ok(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_parameters_that_can_be_fitted_pass() {
        assert!(ForestParams::default().check().is_ok());
        assert!(matches!(ForestParams::default().trees(0).check(), Err(ForestError::NoTrees)));
        for sample_size in [0, 1, MAX_SAMPLE_SIZE + 1] {
            let checked = ForestParams::default().sample_size(sample_size).check();
            assert!(matches!(checked, Err(ForestError::SampleSize(size)) if size == sample_size));
        }
    }
}
