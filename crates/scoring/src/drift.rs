//! How far what is scored has moved from what a model was trained on: the population stability index of each column and of
//! the score.
//!
//! Training values are put into bins of about a tenth each. With `e` and `a` the shares of a bin among the training rows and among
//! the rows that were scored lately, the index is the sum over all bins of
//!
//! ```text
//! (a - e) ln(a / e)
//! ```
//!
//! (Siddiqi, Credit Risk Scorecards, 2006). Rules of thumb there: below 0.1 nothing has moved, above 0.25 much has. So that an empty bin does
//! not make it infinite, each bin counts half a row more (Jeffreys' prior). Where nothing has moved, it is about
//! `(bins - 1) (1 / training rows + 1 / scored rows)` (Yurdakul, Statistical Properties of Population Stability Index, 2018), which is
//! 0.002 for 10,000 of each, and 0.02 for 500 training rows.

use std::sync::{Mutex, PoisonError};

use pulse_core::Matrix;
use serde::{Deserialize, Serialize};

/// Bins that values are put into at the least, where they differ: each holds this share of them.
const BINS: usize = 10;
/// Rows of half of what is looked back on.
const BLOCK: u64 = 5_000;
/// Rows that must have been scored before anything is said.
const LEAST: u64 = 1_000;
/// Training rows below which chance alone looks like drift.
const LEAST_TRAINED: usize = 500;
/// Rows of one batch that are looked at, spread over all of it: so that looking stays cheap beside scoring.
const LOOKED_AT: usize = 512;

/// How the values of a column, or the scores, were distributed in training.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Bins {
    /// Where a bin ends and the next one begins, rising. A value that is equal belongs to the lower one.
    pub edges: Vec<f64>,
    /// The share of each bin, of which there is one more than edges, and then that of missing values.
    pub shares: Vec<f64>,
}

impl Bins {
    /// The deciles of `values`. One that is so frequent that several deciles fall on it has a bin of its own.
    pub(crate) fn of(values: impl Iterator<Item = f64>) -> Self {
        let (mut known, mut missing) = (Vec::new(), 0_usize);
        for value in values {
            if value.is_nan() {
                missing += 1;
            } else {
                // Edges are stored as JSON, which has no infinity.
                known.push(value.clamp(f64::MIN, f64::MAX));
            }
        }
        known.sort_unstable_by(f64::total_cmp);
        let mut edges: Vec<f64> = Vec::new();
        for decile in 1..BINS {
            let Some(&edge) = (known.len() * decile).checked_div(BINS).and_then(|index| known.get(index.max(1) - 1))
            else {
                break;
            };
            match edges.last() {
                Some(last) if *last == edge => {
                    let before = edges.len().checked_sub(2).and_then(|index| edges.get(index));
                    if before.is_none_or(|before| *before < edge.next_down()) {
                        edges.insert(edges.len() - 1, edge.next_down());
                    }
                }
                _ => edges.push(edge),
            }
        }
        let rows = (known.len() + missing).max(1) as f64;
        let mut bins = Self { edges, shares: Vec::new() };
        let mut counts = vec![0_usize; bins.len()];
        for value in known.into_iter().chain(std::iter::repeat_n(f64::NAN, missing)) {
            counts[bins.place(value)] += 1;
        }
        bins.shares = counts.into_iter().map(|count| count as f64 / rows).collect();
        bins
    }

    /// Number of bins, the one of missing values included.
    fn len(&self) -> usize {
        self.edges.len() + 2
    }

    /// The bin of `value`.
    fn place(&self, value: f64) -> usize {
        if value.is_nan() { self.edges.len() + 1 } else { self.edges.partition_point(|edge| *edge < value) }
    }

    /// Whether it can be worked with, wherever it comes from.
    pub(crate) fn is_sound(&self) -> bool {
        // Where they were not known.
        if *self == Self::default() {
            return true;
        }
        let rises = self.edges.windows(2).all(|pair| pair[0] < pair[1]);
        let shares = self.shares.len() == self.len() && self.shares.iter().all(|share| (0.0..=1.0).contains(share));
        rises && shares && !self.edges.iter().any(|edge| edge.is_nan())
    }

    /// The population stability index of `counts`, of which there is one for each bin; `trained_rows` is how many rows the shares are of.
    fn index(&self, trained_rows: f64, counts: &[u64]) -> f64 {
        let bins = self.len() as f64;
        let rows = counts.iter().sum::<u64>() as f64;
        let shares = self.shares.iter().zip(counts).map(|(&share, &count)| {
            let expected = (share * trained_rows + 0.5) / (trained_rows + 0.5 * bins);
            let actual = (count as f64 + 0.5) / (rows + 0.5 * bins);
            (actual - expected) * (actual / expected).ln()
        });
        shares.sum()
    }
}

/// How far rows have moved from the training rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DriftReport {
    /// Rows that it is about: those that were looked at last.
    pub rows: u64,
    /// The population stability index of the score.
    pub score: f64,
    /// That of each column, in the model's order.
    pub columns: Vec<f64>,
}

/// Counts what is scored, and compares it with the training rows.
#[derive(Debug)]
pub struct Drift {
    trained_rows: f64,
    /// Of each column, and then of the score.
    expected: Vec<Bins>,
    window: Mutex<Window>,
}

/// What was scored last: the block that is being filled, and the one before.
#[derive(Debug, Clone)]
struct Window {
    now: Block,
    before: Block,
}

#[derive(Debug, Clone)]
struct Block {
    rows: u64,
    /// One count for each bin of each column and of the score.
    counts: Vec<Vec<u64>>,
}

impl Drift {
    /// Compares with `trained_rows` rows whose columns and scores were distributed so.
    pub(crate) fn new(trained_rows: usize, columns: impl Iterator<Item = Bins>, score: Bins) -> Self {
        let mut expected: Vec<Bins> = columns.chain([score]).collect();
        if trained_rows < LEAST_TRAINED || expected.contains(&Bins::default()) {
            // There is nothing to compare with.
            expected.clear();
        }
        let empty = Block { rows: 0, counts: expected.iter().map(|bins| vec![0; bins.len()]).collect() };
        let window = Mutex::new(Window { now: empty.clone(), before: empty });
        Self { trained_rows: trained_rows as f64, expected, window }
    }

    /// Takes note of rows, whose columns are the model's, and of their scores.
    pub fn observe(&self, rows: &Matrix, scores: &[f64]) {
        if self.expected.is_empty() {
            return;
        }
        let step = rows.rows().div_ceil(LOOKED_AT).max(1);
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        for (row, score) in rows.iter().zip(scores).step_by(step) {
            if window.now.rows >= BLOCK {
                window.turn();
            }
            window.now.rows += 1;
            let values = row.iter().chain([score]);
            for ((counts, bins), value) in window.now.counts.iter_mut().zip(&self.expected).zip(values) {
                counts[bins.place(*value)] += 1;
            }
        }
    }

    /// How far the rows that were looked at last have moved; none as long as these are too few, or where the training rows were.
    #[must_use]
    pub fn report(&self) -> Option<DriftReport> {
        let Window { now, before } = self.window.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let rows = now.rows + before.rows;
        if rows < LEAST {
            return None;
        }
        let both = now.counts.iter().zip(&before.counts);
        let counts = both.map(|(now, before)| now.iter().zip(before).map(|(a, b)| a + b).collect::<Vec<u64>>());
        let indices = self.expected.iter().zip(counts).map(|(bins, counts)| bins.index(self.trained_rows, &counts));
        let mut columns: Vec<f64> = indices.collect();
        let score = columns.pop()?;
        Some(DriftReport { rows, score, columns })
    }
}

impl Window {
    /// Forgets the block before, and begins another one.
    fn turn(&mut self) {
        std::mem::swap(&mut self.now, &mut self.before);
        self.now.rows = 0;
        self.now.counts.iter_mut().for_each(|counts| counts.fill(0));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn drift_of(training: &[f64]) -> Drift {
        Drift::new(training.len(), [Bins::of(training.iter().copied())].into_iter(), Bins::of([0.5].into_iter()))
    }

    fn report(drift: &Drift, values: impl Iterator<Item = f64>) -> Option<DriftReport> {
        for value in values {
            let mut row = Matrix::with_capacity(1, 1);
            row.push(&[value]);
            drift.observe(&row, &[0.5]);
        }
        drift.report()
    }

    fn ramp() -> Vec<f64> {
        (0..10_000).map(f64::from).collect()
    }

    #[test]
    fn deciles_are_the_edges() {
        let bins = Bins::of((1..=100).map(f64::from));
        assert_eq!(bins.edges, [10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0]);
        assert!(bins.shares[..10].iter().all(|share| (share - 0.1).abs() < 1e-12), "{bins:?}");
        assert_eq!(bins.shares[10], 0.0);
    }

    #[test]
    fn what_is_frequent_has_a_bin_of_its_own() {
        let bins = Bins::of([0.0; 70].into_iter().chain([1.0; 30]));
        assert_eq!(bins.edges, [0.0_f64.next_down(), 0.0, 1.0_f64.next_down(), 1.0]);
        assert_eq!(bins.shares, [0.0, 0.7, 0.0, 0.3, 0.0, 0.0]);
        let constant = Bins::of([5.0; 10].into_iter());
        assert_eq!((constant.edges.len(), constant.shares), (2, vec![0.0, 1.0, 0.0, 0.0]));
    }

    #[test]
    fn it_is_the_formula() {
        // 10,000 rows of two equal halves against 10,000 rows of a quarter and three: (0.25 - 0.5) ln 0.5 + (0.75 - 0.5) ln 1.5.
        let bins = Bins { edges: vec![0.0], shares: vec![0.5, 0.5, 0.0] };
        let index = bins.index(1e9, &[250_000_000, 750_000_000, 0]);
        assert!((index - 0.274_653).abs() < 1e-5, "{index}");
    }

    #[test]
    fn it_is_small_where_nothing_moved_and_large_where_something_did() {
        let same = report(&drift_of(&ramp()), ramp().into_iter()).unwrap();
        assert!(same.columns[0] < 0.001, "{same:?}");
        let moved = report(&drift_of(&ramp()), ramp().into_iter().map(|value| value + 3000.0)).unwrap();
        assert!(moved.columns[0] > 0.25, "{moved:?}");
        let missing = report(&drift_of(&ramp()), ramp().into_iter().map(|v| if v < 3000.0 { f64::NAN } else { v }));
        assert!(missing.unwrap().columns[0] > 0.25);
    }

    #[test]
    fn it_says_nothing_of_few_rows_and_forgets_old_ones() {
        let drift = drift_of(&ramp());
        assert_eq!(report(&drift, ramp().into_iter().take(999)), None);
        let moved = report(&drift, std::iter::repeat_n(1e9, 10_000)).unwrap();
        assert!(moved.columns[0] > 1.0, "{moved:?}");
        let again = report(&drift, (0..10_000).map(|i| f64::from(i * 7919 % 10_000))).unwrap();
        assert!(again.rows <= 2 * BLOCK && again.columns[0] < 0.01, "{again:?}");
    }

    #[test]
    fn nothing_is_said_where_there_is_nothing_to_compare_with() {
        let few: Vec<f64> = (0..499).map(f64::from).collect();
        assert_eq!(report(&drift_of(&few), ramp().into_iter()), None);
        let unknown = Drift::new(10_000, [Bins::default()].into_iter(), Bins::default());
        assert_eq!(report(&unknown, ramp().into_iter()), None);
    }

    #[test]
    fn of_a_large_batch_some_rows_are_looked_at_from_all_of_it() {
        let drift = drift_of(&ramp());
        let mut rows = Matrix::with_capacity(1, 10_000);
        ramp().iter().for_each(|&value| rows.push(&[value]));
        drift.observe(&rows, &vec![0.5; 10_000]);
        drift.observe(&rows, &vec![0.5; 10_000]);
        drift.observe(&rows, &vec![0.5; 10_000]);
        let report = drift.report().unwrap();
        assert!((1000..=1536).contains(&report.rows) && report.columns[0] < 0.05, "{report:?}");
    }

    proptest! {
        #[test]
        fn bins_of_anything_are_sound(values in prop::collection::vec(
            prop_oneof![Just(f64::NAN), Just(0.0), Just(-0.0), Just(f64::INFINITY), Just(f64::NEG_INFINITY), -5.0..5.0_f64], 0..200,
        )) {
            let bins = Bins::of(values.iter().copied());
            prop_assert!(bins.is_sound(), "{bins:?}");
            let total: f64 = bins.shares.iter().sum();
            prop_assert!(values.is_empty() || (total - 1.0).abs() < 1e-9);
            let counts: Vec<u64> = bins.shares.iter().map(|share| (share * values.len() as f64).round() as u64).collect();
            let index = bins.index(values.len() as f64, &counts);
            prop_assert!(index.abs() < 1e-9, "the same rows have not moved: {index}");
        }
    }
}
