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
use ndarray::{Array1, Array2, ArrayView2, ArrayViewMut2, Axis};

use crate::forest::{BLOCK, IsolationForest, Trees, with_trees};
use crate::layout::{lay_out, slots};
use crate::node::Node;
use crate::tree::{LANES, TREES, Tree};

impl IsolationForest {
    /// For each column, by how many splits it shortened the mean path of `row`; negative where the row is more usual than
    /// most. They sum to [`mean_path_length`](Self::mean_path_length) minus the row's own.
    ///
    /// # Panics
    /// When the row has not [`columns`](Self::columns) values.
    #[must_use]
    pub fn path_reductions<F: Float>(&self, row: &[F]) -> Vec<f64> {
        let mut credits = vec![0.0_f32; self.columns + 1];
        self.with_laid_out(row, |row| {
            with_trees!(&self.trees, trees => {
                let (together, rest) = trees.as_chunks::<TREES>();
                let (mut paths, mut path) = (Vec::new(), Vec::new());
                for trees in together {
                    Tree::credit(trees, row, &self.centres, &mut paths, &mut credits);
                }
                for tree in rest {
                    Tree::credit(std::array::from_ref(tree), row, &self.centres, &mut path, &mut credits);
                }
            });
        });
        credits[..self.columns].iter().map(|&credit| self.per_tree(credit)).collect()
    }

    /// [`path_reductions`](Self::path_reductions) of many rows, each the same as alone, in less time than one by one.
    ///
    /// # Panics
    /// When the rows have not [`columns`](Self::columns) values.
    #[must_use]
    pub fn path_reductions_of_rows<F: Float>(&self, rows: ArrayView2<'_, F>) -> Array2<f64> {
        assert_eq!(rows.ncols(), self.columns, "rows must have one value per column of the forest");
        let mut reductions = Array2::zeros(rows.dim());
        match (&self.trees, slots(self.columns)) {
            (Trees::One(trees), 0..=16) => self.reduce_blocks::<F, 16>(trees, rows, reductions.view_mut()),
            (Trees::One(trees), 17..=64) => self.reduce_blocks::<F, 64>(trees, rows, reductions.view_mut()),
            // Wide rows, and splits on sums, whose credits cost more than their walks: side by side would gain nothing.
            _ => {
                for (row, mut reduced) in rows.rows().into_iter().zip(reductions.rows_mut()) {
                    reduced.assign(&Array1::from(self.path_reductions(&row.to_vec())));
                }
            }
        }
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
        to_shares(&mut shares);
        shares
    }

    /// [`contributions`](Self::contributions) of many rows, each the same as alone, in less time than one by one.
    ///
    /// # Panics
    /// When the rows have not [`columns`](Self::columns) values.
    #[must_use]
    pub fn contributions_of_rows<F: Float>(&self, rows: ArrayView2<'_, F>) -> Array2<f64> {
        let mut shares = self.path_reductions_of_rows(rows);
        shares.rows_mut().into_iter().filter_map(|row| row.into_slice()).for_each(to_shares);
        shares
    }

    fn per_tree(&self, credit: f32) -> f64 {
        f64::from(credit) / self.trees() as f64
    }

    /// Reductions of rows that are laid out in `SLOTS` slots each.
    fn reduce_blocks<F: Float, const SLOTS: usize>(
        &self,
        trees: &[Tree<Node>],
        rows: ArrayView2<'_, F>,
        mut reductions: ArrayViewMut2<'_, f64>,
    ) {
        let mut centres = [0.0; SLOTS];
        centres[..self.centres.len()].copy_from_slice(&self.centres);
        let block_rows = rows.nrows().min(BLOCK).next_multiple_of(LANES);
        let mut laid_out = vec![[0.0; SLOTS]; block_rows];
        let mut credits = vec![[0.0; SLOTS]; block_rows];
        let blocks = rows.axis_chunks_iter(Axis(0), BLOCK);
        for (rows, mut reductions) in blocks.zip(reductions.axis_chunks_iter_mut(Axis(0), BLOCK)) {
            rows.rows().into_iter().zip(&mut laid_out).for_each(|(row, slots)| lay_out(row.iter().copied(), slots));
            let laid_out = &laid_out[..rows.nrows().next_multiple_of(LANES)];
            credits.fill([0.0; SLOTS]);
            trees.iter().for_each(|tree| tree.credit_rows(laid_out, &centres, &mut credits));
            for (mut reductions, credits) in reductions.rows_mut().into_iter().zip(&credits) {
                reductions.iter_mut().zip(credits).for_each(|(reduction, &credit)| *reduction = self.per_tree(credit));
            }
        }
    }
}

/// Makes reductions shares.
fn to_shares(reductions: &mut [f64]) {
    reductions.iter_mut().for_each(|reduction| *reduction = reduction.max(0.0));
    let total: f64 = reductions.iter().sum();
    if total > 0.0 {
        reductions.iter_mut().for_each(|share| *share /= total);
    } else {
        let columns = reductions.len() as f64;
        reductions.fill(1.0 / columns);
    }
}
