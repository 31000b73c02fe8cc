//! Parameters of a forest: unchecked as set, and checked as fitted with.

use linfa::ParamGuard;
use serde::Serialize;

use crate::error::ForestError;

/// The largest sample that a tree can be grown on.
pub const MAX_SAMPLE_SIZE: u32 = 1 << 20;
/// The largest number of columns that a split can look at.
pub const MAX_COLUMNS_PER_SPLIT: u32 = 16;

/// Parameters as they were set. `fit` checks them; so does [`check`](ParamGuard::check).
///
/// The default is the isolation forest of Liu, Ting and Zhou (2008): 100 trees on 256 rows each.
/// [`accurate`](Self::accurate) weighs in neighbourhoods and density, too, and costs more.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ForestParams(ValidForestParams);

/// Parameters that are known to be valid.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ValidForestParams {
    trees: u32,
    sample_size: u32,
    smallest_sample: Option<u32>,
    columns_per_split: u32,
    depth_factor: u32,
    density_weight: f64,
    seed: u64,
    #[serde(skip)]
    threads: usize,
}

impl Default for ForestParams {
    fn default() -> Self {
        Self(ValidForestParams {
            trees: 100,
            sample_size: 256,
            smallest_sample: None,
            columns_per_split: 1,
            depth_factor: 1,
            density_weight: 0.0,
            seed: 0,
            threads: 1,
        })
    }
}

impl ForestParams {
    /// What had the highest mean area under the ROC curve on data of many kinds: 200 trees on 64 to 4,096 rows each, splits on two columns, twice the depth, and
    /// density counted by half.
    #[must_use]
    pub fn accurate() -> Self {
        Self::default()
            .trees(200)
            .sample_size(4096)
            .smallest_sample(64)
            .columns_per_split(2)
            .depth_factor(2)
            .density_weight(0.5)
    }

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

    /// Draws a size for each tree, from this up to the sample size, each order of magnitude as likely as another: small samples
    /// see what is unusual in all of the rows, large ones what is so among its neighbours (*variable subsampling*, Aggarwal
    /// and Sathe 2015). At least 2, and no more than the sample size.
    #[must_use]
    pub fn smallest_sample(mut self, rows: u32) -> Self {
        self.0.smallest_sample = Some(rows);
        self
    }

    /// Columns that a split looks at, from 1 to [`MAX_COLUMNS_PER_SPLIT`]. With more than one it is a hyperplane of random
    /// direction, as in the *extended isolation forest* (Hariri, Carrasco Kind and Brunner 2019), whose scores have no
    /// artefacts along the axes. Each column's coefficient is drawn between -1 and 1 and divided by its range among the rows of
    /// the node, so that units do not matter; the cut lies between the least and the largest sum among them. There, coefficients
    /// are normal and the cut goes through a point of the node's box, which may part nobody from nobody.
    #[must_use]
    pub fn columns_per_split(mut self, columns: u32) -> Self {
        self.0.columns_per_split = columns;
        self
    }

    /// By how much a tree may be deeper than `ceil(log2(sample size))`, from 1 to 8. Depth tells apart rows in dense places.
    #[must_use]
    pub fn depth_factor(mut self, factor: u32) -> Self {
        self.0.depth_factor = factor;
        self
    }

    /// How much density counts beside the number of splits, from 0 to 1. A split that sends a share `p` of its rows to one side,
    /// which is a share `v` of the range that it cuts, counts there as `1 + weight * ln(p / v)` splits, but not less than 0. A
    /// row that is left with much room and few others is isolated sooner. (After the density criterion of Cortes, *Isolation
    /// forests: looking beyond tree depth*, 2021.)
    #[must_use]
    pub fn density_weight(mut self, weight: f64) -> Self {
        self.0.density_weight = weight;
        self
    }

    /// Seed of all randomness.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.0.seed = seed;
        self
    }

    /// Threads that grow trees, at least one. The forest is the same whatever their number.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.0.threads = threads.max(1);
        self
    }
}

impl ValidForestParams {
    /// Number of trees.
    #[must_use]
    pub fn trees(&self) -> u32 {
        self.trees
    }

    /// Rows that each tree is grown on, at the most.
    #[must_use]
    pub fn sample_size(&self) -> u32 {
        self.sample_size
    }

    /// Rows that each tree is grown on, at the least.
    #[must_use]
    pub fn smallest_sample(&self) -> u32 {
        self.smallest_sample.unwrap_or(self.sample_size)
    }

    /// Columns that a split looks at.
    #[must_use]
    pub fn columns_per_split(&self) -> u32 {
        self.columns_per_split
    }

    /// By how much a tree may be deeper than `ceil(log2(sample size))`.
    #[must_use]
    pub fn depth_factor(&self) -> u32 {
        self.depth_factor
    }

    /// How much density counts beside the number of splits.
    #[must_use]
    pub fn density_weight(&self) -> f64 {
        self.density_weight
    }

    /// Seed of all randomness.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Threads that grow trees.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads
    }
}

impl ParamGuard for ForestParams {
    type Checked = ValidForestParams;
    type Error = ForestError;

    fn check_ref(&self) -> Result<&Self::Checked, Self::Error> {
        let params = &self.0;
        if params.trees == 0 {
            return Err(ForestError::NoTrees);
        }
        if !(2..=MAX_SAMPLE_SIZE).contains(&params.sample_size) {
            return Err(ForestError::SampleSize(params.sample_size));
        }
        if !(2..=params.sample_size).contains(&params.smallest_sample()) {
            let (smallest, largest) = (params.smallest_sample(), params.sample_size);
            return Err(ForestError::SmallestSample { smallest, largest });
        }
        if !(1..=MAX_COLUMNS_PER_SPLIT).contains(&params.columns_per_split) {
            return Err(ForestError::ColumnsPerSplit(params.columns_per_split));
        }
        if !(1..=8).contains(&params.depth_factor) {
            return Err(ForestError::DepthFactor(params.depth_factor));
        }
        if !(0.0..=1.0).contains(&params.density_weight) {
            return Err(ForestError::DensityWeight(params.density_weight));
        }
        Ok(params)
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
        let good = ForestParams::default();
        assert!(good.check_ref().is_ok());
        assert!(ForestParams::accurate().check().is_ok());
        let bad = [
            (good.clone().trees(0), "at least one tree"),
            (good.clone().sample_size(1), "sample size 1 "),
            (good.clone().sample_size(MAX_SAMPLE_SIZE + 1), "1048577"),
            (good.clone().smallest_sample(1), "smallest sample 1 "),
            (good.clone().smallest_sample(257), "smallest sample 257 "),
            (good.clone().columns_per_split(0), "0 columns"),
            (good.clone().columns_per_split(17), "17 columns"),
            (good.clone().depth_factor(0), "depth factor 0 "),
            (good.clone().density_weight(1.5), "density weight 1.5 "),
            (good.density_weight(f64::NAN), "density weight NaN "),
        ];
        for (params, said) in bad {
            let error = params.check_ref().unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
