//! Which columns made a row unusual.
//!
//! The method is additive path-length attribution, in the spirit of DIFFI (Carletti, Terzi and Susto, 2023), which also
//! credits the splits on a row's path. In a random tree, a node of `n` rows has `c(n)` splits still to be
//! expected. A split that leads from `n` rows to `m` shortens the path by `c(n) - c(m) - 1`: much where it cuts a few rows
//! off, less than nothing where it cuts a few others off. That is credited to the split's column. Over a path it telescopes, and
//! over the trees
//!
//! `sum over columns of reduction(column) = c(sample size) - E[h(x)]`,
//!
//! so that the reductions are positive in sum exactly where the score is above 0.5.

use crate::forest::IsolationForest;

impl IsolationForest {
    /// For each column, by how many splits it shortened the mean path of `row`; negative where the row is more usual than
    /// most. They sum to [`mean_path_length`](Self::mean_path_length) minus the row's own.
    ///
    /// # Panics
    /// When the row has not [`columns`](Self::columns) values.
    #[must_use]
    pub fn path_reductions(&self, row: &[f64]) -> Vec<f64> {
        let row = self.lay_out_one(row);
        let mut reductions = vec![0.0; self.columns];
        for tree in &self.trees {
            for (column, reduction) in tree.reductions(&row, self.columns) {
                reductions[column] += reduction;
            }
        }
        let trees = self.trees.len() as f64;
        reductions.iter_mut().for_each(|reduction| *reduction /= trees);
        reductions
    }

    /// The share that each column has in how unusual `row` is: its positive part of
    /// [`path_reductions`](Self::path_reductions), of their sum. They sum to 1; equal shares say that nothing stands out.
    ///
    /// # Panics
    /// When the row has not [`columns`](Self::columns) values.
    #[must_use]
    pub fn contributions(&self, row: &[f64]) -> Vec<f64> {
        let mut shares = self.path_reductions(row);
        shares.iter_mut().for_each(|share| *share = share.max(0.0));
        let total: f64 = shares.iter().sum();
        if total > 0.0 {
            shares.iter_mut().for_each(|share| *share /= total);
        } else {
            shares.fill(1.0 / self.columns as f64);
        }
        shares
    }
}
