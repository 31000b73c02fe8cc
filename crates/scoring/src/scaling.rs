//! Scaling to mean 0 and standard deviation 1, with missing values left missing.

use linfa::Dataset;
use linfa::traits::{Fit, Transformer};
use linfa_preprocessing::PreprocessingError;
use linfa_preprocessing::linear_scaling::LinearScaler;
use ndarray::{Array1, Array2, Axis};

/// What is known of a training column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ColumnStatistics {
    /// Mean of the values that are there; 0 where none is.
    pub(crate) mean: f64,
    /// Population standard deviation of the values that are there; 0 where none is.
    pub(crate) standard_deviation: f64,
    /// Number of missing values.
    pub(crate) missing: usize,
}

/// A fitted scaler.
#[derive(Debug, Clone)]
pub(crate) struct Scaling {
    pub(crate) scaler: LinearScaler<f64>,
    pub(crate) columns: Vec<ColumnStatistics>,
}

impl Scaling {
    /// Fits the scaler to `rows`. A missing value counts as its column's mean; a constant column is moved but not stretched.
    pub(crate) fn fit(rows: &Array2<f64>) -> Result<Self, PreprocessingError> {
        let columns: Vec<ColumnStatistics> =
            rows.columns().into_iter().map(|c| statistics(c.iter().copied())).collect();
        let mut filled = rows.clone();
        for (mut column, known) in filled.axis_iter_mut(Axis(1)).zip(&columns) {
            column.mapv_inplace(|value| limited(value).unwrap_or(known.mean));
        }
        let scaler = LinearScaler::standard().fit(&Dataset::new(filled, Array1::<()>::from_elem(rows.nrows(), ())))?;
        Ok(Self { scaler, columns })
    }

    /// `rows` scaled; what is missing stays so.
    pub(crate) fn apply(&self, rows: Array2<f64>) -> Array2<f64> {
        self.scaler.transform(rows)
    }
}

fn statistics(values: impl Iterator<Item = f64> + Clone) -> ColumnStatistics {
    let (mut known, mut mean, mut squares) = (0.0, 0.0, 0.0);
    let mut missing = 0;
    for value in values {
        let Some(value) = limited(value) else {
            missing += 1;
            continue;
        };
        // Welford's update: stable where the mean is large and the deviation small.
        known += 1.0;
        let before = value - mean;
        mean += before / known;
        squares += before * (value - mean);
    }
    let standard_deviation = if known > 0.0 { f64::sqrt(squares / known) } else { 0.0 };
    ColumnStatistics { mean, standard_deviation, missing }
}

/// A value within the range that a forest tells apart, where sums and squares cannot overflow; none for a missing one.
fn limited(value: f64) -> Option<f64> {
    const LIMIT: f64 = f32::MAX as f64;
    (!value.is_nan()).then(|| value.clamp(-LIMIT, LIMIT))
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn missing_values_neither_poison_the_others_nor_disappear() {
        let rows = array![[1.0, f64::NAN], [f64::NAN, f64::NAN], [3.0, f64::NAN]];
        let scaling = Scaling::fit(&rows).unwrap();
        assert_eq!(scaling.columns[0], ColumnStatistics { mean: 2.0, standard_deviation: 1.0, missing: 1 });
        assert_eq!(scaling.columns[1], ColumnStatistics { mean: 0.0, standard_deviation: 0.0, missing: 3 });
        let scaled = scaling.apply(rows);
        assert!(scaled[[0, 0]] < 0.0 && scaled[[2, 0]] > 0.0);
        assert!(scaled[[1, 0]].is_nan() && scaled[[0, 1]].is_nan());
    }

    #[test]
    fn a_constant_column_is_not_divided_by_zero() {
        let scaling = Scaling::fit(&array![[0.1], [0.1], [0.1]]).unwrap();
        let scaled = scaling.apply(array![[0.1], [5.1]]);
        assert!(scaled[[0, 0]].abs() < 1e-12 && (scaled[[1, 0]] - 5.0).abs() < 1e-12, "{scaled}");
    }

    #[test]
    fn huge_values_do_not_overflow() {
        let scaling = Scaling::fit(&array![[f64::MAX], [f64::MIN], [f64::INFINITY], [1.0]]).unwrap();
        assert!(scaling.columns[0].mean.is_finite() && scaling.columns[0].standard_deviation.is_finite());
        assert!(!scaling.apply(array![[f64::MAX], [f64::NEG_INFINITY]]).iter().any(|value| value.is_nan()));
    }
}
