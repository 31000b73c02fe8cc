//! The fitted forest and its scores.

use linfa::DatasetBase;
use linfa::traits::{Fit, PredictInplace};
use ndarray::{Array1, ArrayBase, ArrayView2, ArrayViewMut1, Axis, Data, Ix2};

use crate::error::ForestError;
use crate::grow::{Grower, TrainingColumns};
use crate::node::{MAX_COLUMNS, lay_out, slots};
use crate::params::ValidForestParams;
use crate::path_length::MeanPathLength;
use crate::tree::{LANES, Tree};

/// Rows that pass one tree before the next: few enough to stay in the fastest cache beside it.
const BLOCK: usize = 256;

/// A fitted isolation forest.
#[derive(Debug, Clone)]
pub struct IsolationForest {
    pub(crate) trees: Vec<Tree>,
    pub(crate) columns: usize,
    sample_size: usize,
    /// `c(sample size)`.
    mean_path_length: f64,
}

impl<D: Data<Elem = f64>, T> Fit<ArrayBase<D, Ix2>, T, ForestError> for ValidForestParams {
    type Object = IsolationForest;

    /// Grows the trees. Targets are not looked at.
    fn fit(&self, dataset: &DatasetBase<ArrayBase<D, Ix2>, T>) -> Result<IsolationForest, ForestError> {
        let rows = dataset.records.view();
        match rows.dim() {
            (_, 0) => return Err(ForestError::NoColumns),
            (0, _) => return Err(ForestError::NoRows),
            (_, columns) if columns > MAX_COLUMNS => return Err(ForestError::TooManyColumns(columns)),
            _ => {}
        }
        let sample_size = rows.nrows().min(self.sample_size() as usize);
        let training = TrainingColumns::new(rows);
        let mean = MeanPathLength::up_to(sample_size);
        let mut grower = Grower::new(&training, self, &mean, sample_size);
        Ok(IsolationForest {
            trees: (0..self.trees()).map(|index| grower.grow(index)).collect(),
            columns: rows.ncols(),
            sample_size,
            // Rounded as leaves are, so that rows which are all alike score exactly 0.5.
            mean_path_length: f64::from(mean.of(sample_size) as f32),
        })
    }
}

impl IsolationForest {
    /// Number of columns of the rows that it scores.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Number of trees.
    #[must_use]
    pub fn trees(&self) -> usize {
        self.trees.len()
    }

    /// Rows that each tree was grown on.
    #[must_use]
    pub fn sample_size(&self) -> usize {
        self.sample_size
    }

    /// `c(sample size)`: the mean path length that a score of 0.5 stands for, in splits.
    #[must_use]
    pub fn mean_path_length(&self) -> f64 {
        self.mean_path_length
    }

    /// Scores of `rows`, in `(0, 1]`; higher is more anomalous.
    ///
    /// # Panics
    /// When the rows have not [`columns`](Self::columns) values.
    #[must_use]
    pub fn score_rows(&self, rows: ArrayView2<'_, f64>) -> Array1<f64> {
        let mut scores = Array1::zeros(rows.nrows());
        self.score_into(rows, scores.view_mut());
        scores
    }

    /// Score of one row; equal to what [`score_rows`](Self::score_rows) gives it.
    ///
    /// # Panics
    /// When the row has not [`columns`](Self::columns) values.
    #[must_use]
    pub fn score_one(&self, row: &[f64]) -> f64 {
        let row = self.lay_out_one(row);
        let total = self.trees.iter().map(|tree| f64::from(tree.path_length(&row))).sum();
        self.score_of(total)
    }

    pub(crate) fn lay_out_one(&self, row: &[f64]) -> Vec<f32> {
        assert_eq!(row.len(), self.columns, "a row must have one value per column of the forest");
        let mut laid_out = vec![0.0; slots(self.columns)];
        lay_out(row, &mut laid_out);
        laid_out
    }

    fn score_into(&self, rows: ArrayView2<'_, f64>, mut scores: ArrayViewMut1<'_, f64>) {
        assert_eq!(rows.ncols(), self.columns, "rows must have one value per column of the forest");
        let slots = slots(self.columns);
        let block_rows = rows.nrows().min(BLOCK).next_multiple_of(LANES);
        let mut laid_out = vec![0.0; block_rows * slots];
        let mut totals = vec![0.0; block_rows];
        let blocks = rows.axis_chunks_iter(Axis(0), BLOCK);
        for (rows, mut scores) in blocks.zip(scores.axis_chunks_iter_mut(Axis(0), BLOCK)) {
            let block_rows = rows.nrows().next_multiple_of(LANES);
            let (laid_out, totals) = (&mut laid_out[..block_rows * slots], &mut totals[..block_rows]);
            for (row, slots) in rows.rows().into_iter().zip(laid_out.chunks_exact_mut(slots)) {
                lay_out(row, slots);
            }
            self.add_path_lengths(laid_out, totals);
            for (score, total) in scores.iter_mut().zip(&*totals) {
                *score = self.score_of(*total);
            }
        }
    }

    /// Sums the path lengths of a block. Trees are the outer loop, so that one stays in the cache while the rows pass.
    fn add_path_lengths(&self, laid_out: &[f32], totals: &mut [f64]) {
        let slots = slots(self.columns);
        totals.fill(0.0);
        for tree in &self.trees {
            for (rows, totals) in laid_out.chunks_exact(LANES * slots).zip(totals.chunks_exact_mut(LANES)) {
                for (total, path_length) in totals.iter_mut().zip(tree.path_lengths(rows, slots)) {
                    *total += f64::from(path_length);
                }
            }
        }
    }

    /// The score of a row whose path lengths sum to `total`. `libm` has the same answer on every machine.
    fn score_of(&self, total: f64) -> f64 {
        if self.mean_path_length == 0.0 {
            // Grown on one row: nothing is known about what is unusual.
            return 0.5;
        }
        libm::exp2(-total / self.trees.len() as f64 / self.mean_path_length)
    }
}

impl<D: Data<Elem = f64>> PredictInplace<ArrayBase<D, Ix2>, Array1<f64>> for IsolationForest {
    /// Scores, as [`score_rows`](Self::score_rows) gives them.
    fn predict_inplace<'a>(&'a self, rows: &'a ArrayBase<D, Ix2>, scores: &mut Array1<f64>) {
        assert_eq!(rows.nrows(), scores.len(), "there must be one score per row");
        self.score_into(rows.view(), scores.view_mut());
    }

    fn default_target(&self, rows: &ArrayBase<D, Ix2>) -> Array1<f64> {
        Array1::zeros(rows.nrows())
    }
}
