//! The fitted forest and its scores.

use linfa::traits::{Fit, PredictInplace};
use linfa::{DatasetBase, Float};
use ndarray::{Array1, ArrayBase, ArrayView2, ArrayViewMut1, Axis, Data, Ix2};

use crate::error::ForestError;
use crate::grow::{Grower, Grown};
use crate::layout::{MAX_COLUMNS, lay_out, slots};
use crate::node::Node;
use crate::params::ValidForestParams;
use crate::path_length::MeanPathLength;
use crate::plane::Plane;
use crate::tree::{Branch, LANES, TREES, Tree};

/// Rows that pass one tree before the next: few enough to stay in the fastest cache beside it.
const BLOCK: usize = 128;
/// Slots of a row that are laid out without a place on the heap.
const SMALL: usize = 64;

/// A fitted isolation forest.
#[derive(Debug, Clone)]
pub struct IsolationForest {
    pub(crate) trees: Trees,
    pub(crate) columns: usize,
    pub(crate) sample_size: usize,
    /// `c(sample size)`.
    pub(crate) mean_path_length: f64,
    /// The means of the columns of the rows that trees were grown on, each as often as it was drawn, and a 0.
    pub(crate) centres: Box<[f32]>,
}

/// The trees, by how many columns their splits can look at.
#[derive(Debug, Clone)]
pub(crate) enum Trees {
    One(Box<[Tree<Node>]>),
    Two(Box<[Tree<Plane<2>>]>),
    Four(Box<[Tree<Plane<4>>]>),
    Sixteen(Box<[Tree<Plane<16>>]>),
}

/// Does the same with trees of any kind.
macro_rules! with_trees {
    ($kind:expr, $trees:ident => $do:expr) => {
        match $kind {
            Trees::One($trees) => $do,
            Trees::Two($trees) => $do,
            Trees::Four($trees) => $do,
            Trees::Sixteen($trees) => $do,
        }
    };
}
pub(crate) use with_trees;

impl<F: Float, D: Data<Elem = F>, T> Fit<ArrayBase<D, Ix2>, T, ForestError> for ValidForestParams {
    type Object = IsolationForest;

    /// Grows the trees. Targets are not looked at.
    fn fit(&self, dataset: &DatasetBase<ArrayBase<D, Ix2>, T>) -> Result<IsolationForest, ForestError> {
        let rows = dataset.records.view();
        match rows.dim() {
            (_, 0) => return Err(ForestError::NoColumns),
            (0, _) => return Err(ForestError::NoRows),
            (_, columns) if columns > MAX_COLUMNS => return Err(ForestError::TooManyColumns(columns)),
            (rows, _) if u32::try_from(rows).is_err() => return Err(ForestError::TooManyRows(rows)),
            _ => {}
        }
        let sample_size = rows.nrows().min(self.sample_size() as usize);
        let mean = MeanPathLength::up_to(sample_size);
        let (trees, centres) = match self.columns_per_split().min(rows.ncols() as u32) {
            1 => grow(rows, self, &mean, Trees::One),
            2 => grow(rows, self, &mean, Trees::Two),
            3..=4 => grow(rows, self, &mean, Trees::Four),
            _ => grow(rows, self, &mean, Trees::Sixteen),
        };
        let mean_path_length = mean.rounded(sample_size);
        Ok(IsolationForest { trees, columns: rows.ncols(), sample_size, mean_path_length, centres })
    }
}

/// The trees, and the means of the columns of all rows that they were grown on.
fn grow<'a, N: Branch, F: Float>(
    rows: ArrayView2<'a, F>,
    params: &'a ValidForestParams,
    mean: &'a MeanPathLength,
    kind: impl Fn(Box<[Tree<N>]>) -> Trees,
) -> (Trees, Box<[f32]>) {
    let numbers: Vec<u32> = (0..params.trees()).collect();
    let grow_some = |numbers: &[u32]| {
        let mut grower = Grower::new(rows, params, mean);
        numbers.iter().map(|&number| grower.grow(number)).collect::<Vec<Grown<N>>>()
    };
    let share = numbers.len().div_ceil(params.threads());
    let grown = match params.threads() {
        1 => grow_some(&numbers),
        _ => std::thread::scope(|scope| {
            let growing: Vec<_> = numbers.chunks(share).map(|numbers| scope.spawn(|| grow_some(numbers))).collect();
            let joined = growing.into_iter().map(|thread| thread.join());
            joined.flat_map(|grown| grown.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
        }),
    };
    let mut known = vec![(0.0, 0.0); rows.ncols()];
    for (_, of_tree) in &grown {
        for (known, of_tree) in known.iter_mut().zip(of_tree) {
            *known = (known.0 + of_tree.0, known.1 + of_tree.1);
        }
    }
    let centre = |&(sum, number): &(f64, f64)| if number > 0.0 { (sum / number) as f32 } else { 0.0 };
    let centres = known.iter().map(centre).chain([0.0]).collect();
    (kind(grown.into_iter().map(|(tree, _)| tree).collect()), centres)
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
        with_trees!(&self.trees, trees => trees.len())
    }

    /// Rows that each tree was grown on, at the most.
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
    pub fn score_rows<F: Float>(&self, rows: ArrayView2<'_, F>) -> Array1<f64> {
        let mut scores = Array1::zeros(rows.nrows());
        self.score_into(rows, scores.view_mut());
        scores
    }

    /// Score of one row; equal to what [`score_rows`](Self::score_rows) gives it.
    ///
    /// # Panics
    /// When the row has not [`columns`](Self::columns) values.
    #[must_use]
    pub fn score_one<F: Float>(&self, row: &[F]) -> f64 {
        assert_eq!(row.len(), self.columns, "a row must have one value per column of the forest");
        let row = row.iter().copied();
        let slots = slots(self.columns);
        let total = if slots <= SMALL {
            let mut laid_out = [0.0; SMALL];
            lay_out(row, &mut laid_out[..slots]);
            // The mask changes no slot, and spares a check.
            self.total(|slot| laid_out[slot & (SMALL - 1)])
        } else {
            let mut laid_out = vec![0.0; slots];
            lay_out(row, &mut laid_out);
            self.total(|slot| laid_out[slot])
        };
        self.score_of(total)
    }

    /// The path lengths of a row, given by its slots, summed in the order of the trees, as [`Tree::add_path_lengths`] does.
    fn total(&self, row: impl Fn(usize) -> f32) -> f64 {
        with_trees!(&self.trees, trees => total(trees, row))
    }

    fn score_into<F: Float>(&self, rows: ArrayView2<'_, F>, scores: ArrayViewMut1<'_, f64>) {
        assert_eq!(rows.ncols(), self.columns, "rows must have one value per column of the forest");
        if rows.nrows() < LANES / 2 {
            for (score, row) in scores.into_iter().zip(rows.rows()) {
                *score = match row.as_slice() {
                    Some(row) => self.score_one(row),
                    None => self.score_one(&row.to_vec()),
                };
            }
            return;
        }
        match slots(self.columns) {
            0..=16 => self.score_blocks::<F, 16>(rows, scores),
            17..=64 => self.score_blocks::<F, 64>(rows, scores),
            65..=256 => self.score_blocks::<F, 256>(rows, scores),
            // As many as MAX_COLUMNS take.
            _ => self.score_blocks::<F, 2048>(rows, scores),
        }
    }

    /// Scores rows that are laid out in `SLOTS` slots each.
    fn score_blocks<F: Float, const SLOTS: usize>(&self, rows: ArrayView2<'_, F>, mut scores: ArrayViewMut1<'_, f64>) {
        let block_rows = rows.nrows().min(BLOCK).next_multiple_of(LANES);
        let mut laid_out = vec![[0.0; SLOTS]; block_rows];
        let mut totals = vec![0.0; block_rows];
        for (rows, scores) in rows.axis_chunks_iter(Axis(0), BLOCK).zip(scores.axis_chunks_iter_mut(Axis(0), BLOCK)) {
            rows.rows().into_iter().zip(&mut laid_out).for_each(|(row, slots)| lay_out(row.iter().copied(), slots));
            let laid_out = &laid_out[..rows.nrows().next_multiple_of(LANES)];
            totals.fill(0.0);
            // Trees are the outer loop, so that one stays in the cache while the rows pass.
            with_trees!(&self.trees, trees => trees.iter().for_each(|tree| tree.add_path_lengths(laid_out, &mut totals)));
            self.write(&totals, scores);
        }
    }

    fn write(&self, totals: &[f64], scores: ArrayViewMut1<'_, f64>) {
        scores.into_iter().zip(totals).for_each(|(score, &total)| *score = self.score_of(total));
    }

    /// The score of a row whose path lengths sum to `total`. `libm` has the same answer on every machine.
    pub(crate) fn score_of(&self, total: f64) -> f64 {
        if self.mean_path_length == 0.0 {
            // Grown on one row: nothing is known about what is unusual.
            return 0.5;
        }
        libm::exp2(-total / self.trees() as f64 / self.mean_path_length)
    }
}

fn total<N: Branch>(trees: &[Tree<N>], row: impl Fn(usize) -> f32) -> f64 {
    let (together, rest) = trees.as_chunks::<TREES>();
    let together = together.iter().flat_map(|trees| Tree::path_lengths(trees, &row));
    together.chain(rest.iter().map(|tree| tree.path_length(&row))).map(f64::from).sum()
}

impl<F: Float, D: Data<Elem = F>> PredictInplace<ArrayBase<D, Ix2>, Array1<f64>> for IsolationForest {
    /// Scores, as [`score_rows`](Self::score_rows) gives them.
    fn predict_inplace<'a>(&'a self, rows: &'a ArrayBase<D, Ix2>, scores: &mut Array1<f64>) {
        assert_eq!(rows.nrows(), scores.len(), "there must be one score per row");
        self.score_into(rows.view(), scores.view_mut());
    }

    fn default_target(&self, rows: &ArrayBase<D, Ix2>) -> Array1<f64> {
        Array1::zeros(rows.nrows())
    }
}
