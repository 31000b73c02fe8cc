//! Which numbers a simulated field may hold.

use crate::use_case::checked::{Bounds, Feature, FeatureType};

/// From here on, 64-bit floating point confuses neighbours.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Limits and grid of a number, all of the schema but its rules.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NumberLimits {
    low: f64,
    high: f64,
    step: Option<f64>,
    decimals: u8,
}

impl NumberLimits {
    /// Those of `feature`, written with so many `decimals`; an integer has none.
    #[must_use]
    pub fn new(feature: &Feature, decimals: u8) -> Self {
        let is_integer = feature.kind == FeatureType::Integer;
        let decimals = if is_integer { 0 } else { decimals };
        let Bounds { minimum, exclusive_minimum, maximum, exclusive_maximum, multiple_of } = feature.bounds;
        let step = multiple_of.filter(|step| *step > 0.0);
        let grid = step.or(is_integer.then_some(1.0)).unwrap_or(0.0);
        let is_on_grid = |limit: f64| grid > 0.0 && (limit / grid).abs() < EXACT;
        let at_least = |limit: f64| if is_on_grid(limit) { (limit / grid).ceil() * grid } else { limit };
        let above = |limit: f64| match is_on_grid(limit) {
            true => ((limit / grid).floor() + 1.0) * grid,
            false => limit + 10_f64.powi(-i32::from(decimals)).max(limit.abs() * f64::EPSILON),
        };
        let widest = if is_integer { EXACT } else { f64::MAX };
        let low = minimum.map(at_least).into_iter().chain(exclusive_minimum.map(above)).fold(-widest, f64::max);
        // The highest number is the lowest of its negative.
        let (maximum, exclusive_maximum) = (maximum.map(|limit| -limit), exclusive_maximum.map(|limit| -limit));
        let high = -maximum.map(at_least).into_iter().chain(exclusive_maximum.map(above)).fold(-widest, f64::max);
        Self { low, high, step, decimals }
    }

    /// These within `minimum` and `maximum`; none where nothing is left.
    #[must_use]
    pub fn within(self, minimum: Option<f64>, maximum: Option<f64>) -> Option<Self> {
        let low = minimum.map_or(self.low, |limit| self.low.max(limit));
        let high = maximum.map_or(self.high, |limit| self.high.min(limit));
        (low <= high).then_some(Self { low, high, ..self })
    }

    /// The number closest to `value` that the field may hold. It is finite.
    #[must_use]
    pub fn fit(&self, value: f64) -> f64 {
        let value = match self.step {
            Some(step) if (value / step).abs() < EXACT => (value / step).round() * step,
            _ => value,
        };
        let scale = 10_f64.powi(i32::from(self.decimals));
        let rounded = if value.abs() * scale < EXACT { (value * scale).round() / scale } else { value };
        rounded.max(self.low).min(self.high)
    }

    /// Whether `value` lies within them.
    #[must_use]
    pub fn contain(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }

    /// Decimal places.
    #[must_use]
    pub fn decimals(&self) -> u8 {
        self.decimals
    }

    /// The smallest and the largest number, where there is a limit.
    pub(super) fn ends(&self) -> (Option<f64>, Option<f64>) {
        let stated = |end: f64| (end.abs() < EXACT).then_some(end);
        (stated(self.low), stated(self.high))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(bounds: Bounds, kind: FeatureType, decimals: u8) -> NumberLimits {
        NumberLimits::new(&Feature { bounds, kind, ..Feature::default() }, decimals)
    }

    #[test]
    fn what_fits_is_valid() {
        let all = [
            Bounds { minimum: Some(0.005), maximum: Some(1.0), ..Bounds::default() },
            Bounds { exclusive_minimum: Some(0.0), exclusive_maximum: Some(100.0), ..Bounds::default() },
            Bounds { minimum: Some(0.5), maximum: Some(9.5), multiple_of: Some(0.25), ..Bounds::default() },
            Bounds { exclusive_minimum: Some(-3.0), multiple_of: Some(7.0), ..Bounds::default() },
            Bounds::default(),
        ];
        for bounds in all {
            for value in
                [-1e300, -7.123, -0.0, 0.0, 0.004, 0.5, 99.999, 1e18, f64::INFINITY, f64::NEG_INFINITY, f64::NAN]
            {
                for kind in [FeatureType::Number, FeatureType::Integer] {
                    if kind == FeatureType::Integer && bounds.multiple_of == Some(0.25) {
                        continue;
                    }
                    let fitted = limits(bounds, kind, 2).fit(value);
                    assert_eq!(bounds.check(fitted), Ok(()), "{value} became {fitted} in {bounds:?}");
                    assert!(kind == FeatureType::Number || fitted.fract() == 0.0, "{fitted}");
                    assert!(fitted.is_finite());
                }
            }
        }
        assert_eq!(limits(Bounds::default(), FeatureType::Number, 1).fit(1.26), 1.3);
    }
}
