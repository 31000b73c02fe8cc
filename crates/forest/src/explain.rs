//! Which columns made a row unusual.
//!
//! The method is additive path-length attribution, in the spirit of DIFFI (Carletti, Terzi and Susto, 2023), which also
//! credits the splits on a row's path. In a random tree, a node of `n` rows has `c(n)` splits still to be
//! expected. A split that leads from `n` rows to `m` shortens the path by `c(n) - c(m) - 1`: much where it cuts a few rows
//! off, less than nothing where it cuts a few others off. That is credited to the split's column; of a split on a sum
//! `a_1 x_1 + a_2 x_2 + …`, to each column by its part of `|a_1 (x_1 - m_1)| + |a_2 (x_2 - m_2)| + …`, where `m` are the means of the
//! training rows. Over a path it telescopes, and over the trees
//!
//! `sum over columns of reduction(column) = c(sample size) - E[h(x)]`,
//!
//! so that the reductions are positive in sum exactly where the score is above 0.5.

use linfa::Float;
use ndarray::{Array1, Array2, ArrayView2, ArrayViewMut1, ArrayViewMut2, Axis};

use crate::forest::{IsolationForest, Trees, with_trees};
use crate::layout::narrow;
use crate::tree::credit::{BLOCK, Pairs};
use crate::tree::{Branch, LANES, TREES, Tree};

/// Bytes of the fastest cache of a usual machine.
const FASTEST_CACHE: usize = 32 << 10;
/// Bytes of rows that pass a tree of splits on one column before the next: a part of the second cache, in which a table has room, too.
const SOME_ROWS: usize = 256 << 10;
/// Bytes of rows that pass a tree before the next where a tree has to be fetched again from a slow cache each time: so many rows that
/// this hardly counts. They come one after another, which caches foresee.
const MANY_ROWS: usize = 1 << 20;
/// Columns of a row that is laid out without a place on the heap, and one more.
const SMALL: usize = 32;

impl IsolationForest {
    /// For each column, by how many splits it shortened the mean path of `row`; negative where the row is more usual than
    /// most. They sum to [`mean_path_length`](Self::mean_path_length) minus the row's own.
    ///
    /// # Panics
    /// When the row has not [`columns`](Self::columns) values.
    #[must_use]
    pub fn path_reductions<F: Float>(&self, row: &[F]) -> Vec<f64> {
        self.reduce(row).1
    }

    /// [`path_reductions`](Self::path_reductions) of many rows, each the same as alone, in less time than one by one.
    ///
    /// # Panics
    /// When the rows have not [`columns`](Self::columns) values.
    #[must_use]
    pub fn path_reductions_of_rows<F: Float>(&self, rows: ArrayView2<'_, F>) -> Array2<f64> {
        self.reduce_all(rows).1
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

    /// The score of a row and its [`contributions`](Self::contributions): the same as apart, by one walk through the trees.
    ///
    /// # Panics
    /// When the row has not [`columns`](Self::columns) values.
    #[must_use]
    pub fn score_and_contributions<F: Float>(&self, row: &[F]) -> (f64, Vec<f64>) {
        let (total, mut shares) = self.reduce(row);
        to_shares(&mut shares);
        (self.score_of(total), shares)
    }

    /// [`contributions`](Self::contributions) of many rows, each the same as alone, in less time than one by one.
    ///
    /// # Panics
    /// When the rows have not [`columns`](Self::columns) values.
    #[must_use]
    pub fn contributions_of_rows<F: Float>(&self, rows: ArrayView2<'_, F>) -> Array2<f64> {
        self.scores_and_contributions(rows).1
    }

    /// [`score_and_contributions`](Self::score_and_contributions) of many rows, each the same as alone, in less time than one by one.
    ///
    /// # Panics
    /// When the rows have not [`columns`](Self::columns) values.
    #[must_use]
    pub fn scores_and_contributions<F: Float>(&self, rows: ArrayView2<'_, F>) -> (Array1<f64>, Array2<f64>) {
        let (totals, mut shares) = self.reduce_all(rows);
        shares.rows_mut().into_iter().filter_map(|row| row.into_slice()).for_each(to_shares);
        (totals.mapv_into(|total| self.score_of(total)), shares)
    }

    /// Makes the credits of a row reductions.
    fn per_tree(&self, credits: &[f32], reductions: &mut [f64]) {
        let trees = self.trees() as f64;
        reductions.iter_mut().zip(credits).for_each(|(reduction, &credit)| *reduction = f64::from(credit) / trees);
    }

    /// Lays out a row, and behind it the missing value that leaves look at.
    fn lay_out<N: Branch, F: Float>(&self, row: impl IntoIterator<Item = F>, pairs: &mut [[f32; 2]]) {
        let values = row.into_iter().map(narrow).chain([f32::NAN]);
        for ((pair, value), &centre) in pairs.iter_mut().zip(values).zip(&self.centres) {
            *pair = N::pair(value, centre);
        }
    }

    /// The path lengths of one row, summed in the order of the trees, and its reductions.
    fn reduce<F: Float>(&self, row: &[F]) -> (f64, Vec<f64>) {
        assert_eq!(row.len(), self.columns, "a row must have one value per column of the forest");
        with_trees!(&self.trees, trees => self.reduce_by(trees, row))
    }

    fn reduce_by<N: Branch, F: Float>(&self, trees: &[Tree<N>], row: &[F]) -> (f64, Vec<f64>) {
        let (mut small, mut large) = ([[0.0; 2]; SMALL], Vec::new());
        let laid_out = match small.get_mut(..=self.columns) {
            Some(small) => small,
            None => {
                large.resize(self.columns + 1, [0.0; 2]);
                &mut large[..]
            }
        };
        self.lay_out::<N, F>(row.iter().copied(), laid_out);
        let row = &*laid_out;
        let mut credits = vec![0.0; row.len()];
        let (together, rest) = trees.as_chunks::<TREES>();
        let (mut paths, mut path) = (Vec::new(), Vec::new());
        let mut total = 0.0;
        for trees in together {
            let path_lengths = Tree::credit(trees, row, &mut paths, &mut credits);
            path_lengths.iter().for_each(|&path_length| total += f64::from(path_length));
        }
        for tree in rest {
            let [path_length] = Tree::credit(std::array::from_ref(tree), row, &mut path, &mut credits);
            total += f64::from(path_length);
        }
        let mut reductions = vec![0.0; self.columns];
        self.per_tree(&credits, &mut reductions);
        (total, reductions)
    }

    /// As [`reduce`](Self::reduce), of many rows.
    fn reduce_all<F: Float>(&self, rows: ArrayView2<'_, F>) -> (Array1<f64>, Array2<f64>) {
        assert_eq!(rows.ncols(), self.columns, "rows must have one value per column of the forest");
        let (mut totals, mut reductions) = (Array1::zeros(rows.nrows()), Array2::zeros(rows.dim()));
        if rows.nrows() < LANES / 2 {
            for ((row, total), mut reduced) in rows.rows().into_iter().zip(&mut totals).zip(reductions.rows_mut()) {
                let (length, reductions) = self.reduce(&row.to_vec());
                *total = length;
                reduced.assign(&Array1::from(reductions));
            }
            return (totals, reductions);
        }
        let all = (totals.view_mut(), reductions.view_mut());
        // Rows that are laid out much longer than they are get into each other's way in caches.
        with_trees!(&self.trees, trees => match self.columns {
            0..8 => self.reduce_rows::<_, F, 8>(trees, rows, all),
            8..32 => self.reduce_rows::<_, F, 32>(trees, rows, all),
            32..64 => self.reduce_rows::<_, F, 64>(trees, rows, all),
            64..128 => self.reduce_rows::<_, F, 128>(trees, rows, all),
            128..256 => self.reduce_rows::<_, F, 256>(trees, rows, all),
            // More than MAX_COLUMNS.
            _ => self.reduce_rows::<_, F, 1024>(trees, rows, all),
        });
        (totals, reductions)
    }

    /// Path lengths and reductions of rows of fewer than `COLUMNS` columns.
    fn reduce_rows<N: Branch, F: Float, const COLUMNS: usize>(
        &self,
        trees: &[Tree<N>],
        rows: ArrayView2<'_, F>,
        (mut totals, mut reductions): (ArrayViewMut1<'_, f64>, ArrayViewMut2<'_, f64>),
    ) {
        let blocks = Self::blocks_at_once(trees, size_of::<[(Pairs<COLUMNS>, [f32; COLUMNS]); BLOCK]>());
        let blocks = blocks.min(rows.nrows().div_ceil(BLOCK));
        let mut laid_out = vec![[[0.0; 2]; COLUMNS]; blocks * BLOCK];
        let mut credits = vec![[0.0; COLUMNS]; blocks * BLOCK];
        let mut lengths = vec![0.0; blocks * BLOCK];
        let chunks = rows.axis_chunks_iter(Axis(0), blocks * BLOCK);
        let chunks = chunks.zip(totals.axis_chunks_iter_mut(Axis(0), blocks * BLOCK));
        for ((rows, totals), mut reductions) in chunks.zip(reductions.axis_chunks_iter_mut(Axis(0), blocks * BLOCK)) {
            for (row, pairs) in rows.rows().into_iter().zip(&mut laid_out) {
                self.lay_out::<N, F>(row.iter().copied(), pairs);
            }
            credits.fill([0.0; COLUMNS]);
            lengths.fill(0.0);
            for tree in trees {
                let blocks = laid_out.as_chunks().0.iter().zip(credits.as_chunks_mut().0);
                for (block, ((laid_out, credits), lengths)) in blocks.zip(lengths.as_chunks_mut().0).enumerate() {
                    tree.credit_rows(laid_out, rows.nrows().saturating_sub(block * BLOCK), credits, lengths);
                }
            }
            totals.into_iter().zip(&lengths).for_each(|(total, &length)| *total = length);
            for (reductions, credits) in reductions.rows_mut().into_iter().zip(&credits) {
                reductions.into_slice().into_iter().for_each(|reductions| self.per_tree(credits, reductions));
            }
        }
    }

    /// How many blocks of rows, of so many bytes each, pass one tree before the next.
    fn blocks_at_once<N: Branch>(trees: &[Tree<N>], bytes: usize) -> usize {
        let room = match N::LOOKS {
            false => SOME_ROWS,
            true if trees.iter().any(|tree| tree.bytes() > FASTEST_CACHE) => MANY_ROWS,
            true => FASTEST_CACHE / 2,
        };
        (room / bytes).max(1)
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
