//! How the values of each column are spread: counted for all events of a batch, shown by whoever measures.

mod bounds;

use pulse_core::UseCase;
use pulse_features::{Column, Featurizer, Sample, SampleError, UseCaseDir};

use bounds::Limits;

/// Bounds that a column has at the most.
pub const MAX_BOUNDS: usize = 20;
/// One range below each bound, and one above all of them.
const RANGES: usize = MAX_BOUNDS + 1;

/// The ranges of values that are told apart, for each column.
#[derive(Debug, Clone)]
pub struct ColumnBuckets {
    columns: Vec<Column>,
    bounds: Vec<Bounds>,
}

/// Rising bounds; the rest is infinite, so that there are always as many to search, which needs no branch.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    values: [f64; MAX_BOUNDS],
    len: usize,
}

/// How many values lay in which range, and their sum.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ColumnCounts {
    /// [`RANGES`] for each column.
    counts: Vec<u64>,
    sums: Vec<f64>,
}

impl ColumnBuckets {
    /// Ranges for the columns of `featurizer`, which is that of `dir`: after the training part of the sample, else after the
    /// limits of the features, else in powers of ten. They depend on the use case alone, not on a model.
    ///
    /// # Errors
    /// When the sample cannot be read.
    pub fn of(dir: &UseCaseDir, featurizer: &Featurizer) -> Result<Self, SampleError> {
        Ok(Self::choose(&dir.use_case, featurizer, dir.sample()?.as_ref()))
    }

    fn choose(use_case: &UseCase, featurizer: &Featurizer, sample: Option<&Sample>) -> Self {
        let columns = featurizer.columns().to_vec();
        let values = sample.map_or_else(|| vec![Vec::new(); columns.len()], |sample| bounds::seen(featurizer, sample));
        let limits = |column: &Column| {
            let feature = use_case.features.iter().find(|feature| feature.name == column.name);
            feature.map_or(Limits::NONE, Limits::of)
        };
        let bounds =
            columns.iter().zip(values).map(|(column, seen)| Bounds::new(&bounds::choose(seen, limits(column))));
        Self { bounds: bounds.collect(), columns }
    }

    /// The columns.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The bounds of the column at `index`, rising. A value belongs to the first that is not below it.
    ///
    /// # Panics
    /// When there is no such column.
    #[must_use]
    pub fn bounds(&self, index: usize) -> &[f64] {
        let bounds = &self.bounds[index];
        &bounds.values[..bounds.len]
    }
}

impl Bounds {
    fn new(bounds: &[f64]) -> Self {
        let mut values = [f64::INFINITY; MAX_BOUNDS];
        let len = bounds.len().min(MAX_BOUNDS);
        values[..len].copy_from_slice(&bounds[..len]);
        Self { values, len }
    }

    fn range_of(&self, value: f64) -> usize {
        self.values.partition_point(|bound| *bound < value)
    }
}

impl ColumnCounts {
    /// Counts that are all 0.
    #[must_use]
    pub fn new(buckets: &ColumnBuckets) -> Self {
        let columns = buckets.columns.len();
        Self { counts: vec![0; columns * RANGES], sums: vec![0.0; columns] }
    }

    /// Adds one row; what is missing is not counted.
    pub(crate) fn observe(&mut self, buckets: &ColumnBuckets, row: &[f64]) {
        let columns = self.counts.chunks_exact_mut(RANGES).zip(&mut self.sums).zip(&buckets.bounds);
        for (((counts, sum), bounds), &value) in columns.zip(row) {
            if value.is_finite() {
                counts[bounds.range_of(value)] += 1;
                *sum += value;
            }
        }
    }

    /// Adds `other`, counted with the same buckets; nothing where that counted nothing.
    pub fn add(&mut self, other: &Self) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(sum, count)| *sum += count);
        self.sums.iter_mut().zip(&other.sums).for_each(|(sum, value)| *sum += value);
    }

    /// How many values of the column at `index` lay in each range: one for each bound of `buckets`, and one above all.
    ///
    /// # Panics
    /// When there is no such column.
    #[must_use]
    pub fn ranges(&self, buckets: &ColumnBuckets, index: usize) -> &[u64] {
        &self.counts[index * RANGES..][..=buckets.bounds[index].len]
    }

    /// The sum of the values of the column at `index`.
    ///
    /// # Panics
    /// When there is no such column.
    #[must_use]
    pub fn sum(&self, index: usize) -> f64 {
        self.sums[index]
    }
}

#[cfg(test)]
mod tests;
