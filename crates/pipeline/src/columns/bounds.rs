//! Choosing the bounds of a column's ranges.

use pulse_core::use_case::{Feature, FeatureType};
use pulse_features::{Featurizer, Need, Sample};

use super::MAX_BOUNDS;

/// Shares of the training values that the bounds stand at.
const SHARES: [f64; 15] = [0.001, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999];
/// How far beyond those values there are bounds too, for what is out of the ordinary, in widths of their range.
const BEYOND: [f64; 2] = [1.0, 10.0];
/// Without a sample, and without narrow limits.
const POWERS: [f64; MAX_BOUNDS] =
    [-1e6, -1e5, -1e4, -1e3, -1e2, -1e1, -1.0, -0.1, 0.0, 0.01, 0.1, 1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e9];
/// Limits of this width or less are divided evenly.
const NARROW: f64 = 1000.0;
/// Steps of limits that are divided evenly.
const STEPS: u8 = 16;
/// Bounds that rounding must leave apart, where they are.
const ENOUGH: usize = 8;

/// The limits of a column's values.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    low: f64,
    high: f64,
    whole: bool,
}

impl Limits {
    pub(super) const NONE: Self = Self { low: f64::NEG_INFINITY, high: f64::INFINITY, whole: false };

    pub(super) fn of(feature: &Feature) -> Self {
        let bounds = feature.bounds;
        let whole = feature.kind == FeatureType::Integer;
        if feature.kind == FeatureType::Boolean {
            return Self { low: 0.0, high: 1.0, whole: true };
        }
        Self {
            low: bounds.minimum.into_iter().chain(bounds.exclusive_minimum).fold(f64::NEG_INFINITY, f64::max),
            high: bounds.maximum.into_iter().chain(bounds.exclusive_maximum).fold(f64::INFINITY, f64::min),
            whole,
        }
    }

    fn contains(self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

/// For each column, its values in the training part of `sample`, rising.
pub(super) fn seen(featurizer: &Featurizer, sample: &Sample) -> Vec<Vec<f64>> {
    let mut featurizer = featurizer.clone();
    let mut columns = vec![Vec::new(); featurizer.columns().len()];
    let (mut row, mut payload) = (Vec::new(), Vec::new());
    for sampled in sample.training() {
        payload.clear();
        // A row that is no event says nothing about those that are.
        let written = serde_json::to_writer(&mut payload, &sampled.event).is_ok();
        if written && featurizer.decode(&payload, Need::Features, &mut row).is_ok() {
            let values = columns.iter_mut().zip(&row).filter(|(_, value)| value.is_finite());
            values.for_each(|(column, &value)| column.push(value));
        }
    }
    columns.iter_mut().for_each(|column| column.sort_by(f64::total_cmp));
    columns
}

/// The bounds for values like those `seen`, which rise, within `limits`.
pub(super) fn choose(seen: Vec<f64>, limits: Limits) -> Vec<f64> {
    let of_sample = from_values(&seen, limits);
    if of_sample.len() > 1 {
        return of_sample;
    }
    let width = limits.high - limits.low;
    if width <= NARROW {
        let step = |i: u8| limits.low + width * f64::from(i) / f64::from(STEPS);
        let steps: Vec<f64> = (0..=STEPS).map(step).collect();
        return round(&if limits.whole { steps.into_iter().map(f64::floor).collect() } else { steps });
    }
    POWERS.into_iter().filter(|&power| limits.contains(power)).collect()
}

fn from_values(seen: &[f64], limits: Limits) -> Vec<f64> {
    let Some(last) = seen.len().checked_sub(1) else { return Vec::new() };
    let at = |share: f64| seen[((share * last as f64).round() as usize).min(last)];
    let mut points: Vec<f64> = SHARES.iter().map(|&share| at(share)).collect();
    let (low, high) = (points[0], points[SHARES.len() - 1]);
    if low < high {
        // What was never negative is not expected to be.
        let lowest = if low >= 0.0 { limits.low.max(0.0) } else { limits.low };
        let beyond = BEYOND.iter().flat_map(|times| [low - times * (high - low), high + times * (high - low)]);
        points.extend(beyond.filter(|&point| point >= lowest && point <= limits.high));
        points.sort_by(f64::total_cmp);
    }
    round(&points)
}

/// `points`, which rise, at two significant digits, and more only where those would make most of them the same.
fn round(points: &[f64]) -> Vec<f64> {
    let rounded = |digits: usize| {
        let nearest = |point: &f64| format!("{point:.digits$e}").parse().map_or(*point, |value: f64| value + 0.0);
        let mut rounded: Vec<f64> = points.iter().map(nearest).filter(|value| value.is_finite()).collect();
        rounded.dedup();
        rounded
    };
    // Seventeen digits tell any two numbers apart.
    let exact = rounded(16);
    (1..16).map(rounded).find(|rounded| rounded.len() >= exact.len().min(ENOUGH)).unwrap_or(exact)
}
