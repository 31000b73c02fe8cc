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

use linfa::Float;

use crate::forest::{IsolationForest, Trees, with_trees};
use crate::tree::{TREES, Tree};

impl IsolationForest {
    /// For each column, by how many splits it shortened the mean path of `row`; negative where the row is more usual than
    /// most. They sum to [`mean_path_length`](Self::mean_path_length) minus the row's own.
    ///
    /// # Panics
    /// When the row has not [`columns`](Self::columns) values.
    #[must_use]
    pub fn path_reductions<F: Float>(&self, row: &[F]) -> Vec<f64> {
        let mut credits = vec![0.0_f32; self.columns + 1];
        let mut reductions = vec![0.0; self.columns];
        self.with_laid_out(row, |row| {
            with_trees!(&self.trees, trees => {
                let (together, rest) = trees.as_chunks::<TREES>();
                let (mut paths, mut path) = (Vec::new(), Vec::new());
                for trees in together {
                    Tree::credit(trees, row, &self.centres, &mut paths, &mut credits);
                    // Few enough to be summed without much rounding.
                    settle(&mut credits, &mut reductions);
                }
                for tree in rest {
                    Tree::credit(std::array::from_ref(tree), row, &self.centres, &mut path, &mut credits);
                }
                settle(&mut credits, &mut reductions);
            });
        });
        let trees = self.trees() as f64;
        reductions.iter_mut().for_each(|reduction| *reduction /= trees);
        reductions
    }

    /// The share that each column has in how unusual `row` is: its positive part of
    /// [`path_reductions`](Self::path_reductions), of their sum. They sum to 1; equal shares say that nothing stands out.
    ///
    /// # Panics
    /// When the row has not [`columns`](Self::columns) values.
    #[must_use]
    pub fn contributions<F: Float>(&self, row: &[F]) -> Vec<f64> {
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

/// Moves what is in `credits` to `reductions`.
fn settle(credits: &mut [f32], reductions: &mut [f64]) {
    for (reduction, credit) in reductions.iter_mut().zip(credits) {
        *reduction += f64::from(std::mem::take(credit));
    }
}
