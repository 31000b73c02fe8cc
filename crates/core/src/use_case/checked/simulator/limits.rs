//! Which numbers a simulated field may hold.

use crate::use_case::checked::feature::is_multiple;
use crate::use_case::checked::{Bounds, Feature, FeatureType};

/// From here on, 64-bit floating point confuses neighbours.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Limits and grid of a number, all of the schema but its rules.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NumberLimits {
    low: f64,
    high: f64,
    grid: Grid,
    decimals: u8,
}

/// Of what its numbers are whole multiples.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Grid {
    /// 0 for none.
    step: f64,
    is_integer: bool,
}

impl NumberLimits {
    /// Those of `feature`, written with so many `decimals`; an integer has none.
    #[must_use]
    pub fn new(feature: &Feature, decimals: u8) -> Self {
        let is_integer = feature.kind == FeatureType::Integer;
        let decimals = if is_integer { 0 } else { decimals };
        let Bounds { minimum, exclusive_minimum, maximum, exclusive_maximum, multiple_of } = feature.bounds;
        let grid = Grid::new(multiple_of.filter(|step| *step > 0.0), is_integer);
        let above = |limit: f64| grid.above(limit, decimals);
        let lowest = |closed: Option<f64>, open: Option<f64>| {
            closed.map(|limit| grid.at_least(limit)).into_iter().chain(open.map(above)).reduce(f64::max)
        };
        let low = lowest(minimum, exclusive_minimum);
        // The highest number is the lowest of its negative.
        let high = lowest(maximum.map(|limit| -limit), exclusive_maximum.map(|limit| -limit)).map(|limit| -limit);
        let widest = grid.widest();
        let low = low.unwrap_or_else(|| (-widest).min(high.unwrap_or(widest)));
        let high = high.unwrap_or_else(|| widest.max(low));
        if low <= high || grid.step > 0.0 {
            return Self { low, high, grid, decimals };
        }
        // Too narrow for so many decimals.
        let ends = |closed: Option<f64>, open: Option<f64>| closed.into_iter().chain(open).reduce(f64::max);
        let (bottom, top) =
            (ends(minimum, exclusive_minimum), ends(maximum.map(|m| -m), exclusive_maximum.map(|m| -m)));
        let middle = f64::midpoint(bottom.unwrap_or(low), top.map_or(high, |top| -top));
        Self { low: middle, high: middle, grid, decimals }
    }

    /// These within `minimum` and `maximum`; none where nothing is left.
    #[must_use]
    pub fn within(self, minimum: Option<f64>, maximum: Option<f64>) -> Option<Self> {
        let low = minimum.map_or(self.low, |limit| self.low.max(self.grid.at_least(limit)));
        let high = maximum.map_or(self.high, |limit| self.high.min(-self.grid.at_least(-limit)));
        (low <= high).then_some(Self { low, high, ..self })
    }

    /// The number closest to `value` that the field may hold. It is finite.
    #[must_use]
    pub fn fit(&self, value: f64) -> f64 {
        self.round(self.grid.snap(value)).max(self.low).min(self.high)
    }

    /// `value`, which lies on the grid, with as few decimal places as that allows.
    fn round(&self, value: f64) -> f64 {
        /// As many as 64-bit numbers can tell apart.
        const MOST_DECIMALS: u8 = 15;
        let most = if self.grid.step > 0.0 { MOST_DECIMALS } else { self.decimals };
        let with = |decimals: u8| {
            let scale = 10_f64.powi(i32::from(decimals));
            (value.abs() * scale < EXACT).then(|| (value * scale).round() / scale)
        };
        (self.decimals..=most).map_while(with).find(|rounded| self.grid.has(*rounded)).unwrap_or(value)
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

impl Grid {
    fn new(step: Option<f64>, is_integer: bool) -> Self {
        /// Whole multiples of steps with three decimals are found within as many.
        const MULTIPLES: u32 = 1000;
        let step = match step {
            Some(step) if is_integer => {
                let whole = (1..=MULTIPLES).map(|times| f64::from(times) * step).find(|sum| is_multiple(*sum, 1.0));
                whole.map_or(step, |step| step.round().max(1.0))
            }
            Some(step) => step,
            None if is_integer => 1.0,
            None => 0.0,
        };
        Self { step, is_integer }
    }

    fn has(self, value: f64) -> bool {
        self.step <= 0.0 || (is_multiple(value, self.step) && (!self.is_integer || value.fract() == 0.0))
    }

    /// Whether its points can be told apart at `value`.
    fn is_fine_at(self, value: f64) -> bool {
        self.step > 0.0 && (value / self.step).abs() < EXACT
    }

    /// The point closest to `value`.
    fn snap(self, value: f64) -> f64 {
        if self.is_fine_at(value) { (value / self.step).round() * self.step } else { value }
    }

    /// The lowest point from `limit` on.
    fn at_least(self, limit: f64) -> f64 {
        if !self.is_fine_at(limit) || self.has(limit) {
            return limit;
        }
        let times = (limit / self.step).ceil();
        // The quotient may have been rounded down to a whole number.
        if times * self.step < limit { (times + 1.0) * self.step } else { times * self.step }
    }

    /// The lowest point above `limit`; without a grid, that with so many decimals.
    fn above(self, limit: f64, decimals: u8) -> f64 {
        if !self.is_fine_at(limit) {
            return limit + 10_f64.powi(-i32::from(decimals)).max(limit.abs() * f64::EPSILON);
        }
        let times = limit / self.step;
        let below = if is_multiple(limit, self.step) { times.round() } else { times.floor() };
        let above = (below + 1.0) * self.step;
        if above > limit { above } else { (below + 2.0) * self.step }
    }

    /// The largest number where there is no limit.
    fn widest(self) -> f64 {
        // Beyond, whether a number is a multiple cannot be told any more.
        if self.step > 0.0 { (EXACT * self.step.max(1.0)).min(f64::MAX) } else { f64::MAX }
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

    #[test]
    fn multiples_stay_multiples_with_as_few_decimals_as_they_can_have() {
        let of_step = |step: f64, decimals: u8, value: f64| {
            let bounds = Bounds { multiple_of: Some(step), ..Bounds::default() };
            limits(bounds, FeatureType::Number, decimals).fit(value)
        };
        assert_eq!(of_step(0.125, 2, 50.13), 50.125);
        assert_eq!(of_step(0.125, 2, 50.51), 50.5);
        assert_eq!(of_step(2.5, 0, 7.9), 7.5);
        assert_eq!(of_step(0.1, 2, 0.31), 0.3);
        assert_eq!(of_step(0.3, 0, 0.8), 0.9);
        let whole = Bounds { multiple_of: Some(2.5), minimum: Some(1.0), ..Bounds::default() };
        assert_eq!(limits(whole, FeatureType::Integer, 0).fit(8.0), 10.0);
        assert_eq!(limits(whole, FeatureType::Integer, 0).fit(0.0), 5.0);
    }

    #[test]
    fn narrower_limits_keep_to_the_grid() {
        let bounds = Bounds { multiple_of: Some(0.125), ..Bounds::default() };
        let narrow = limits(bounds, FeatureType::Number, 2).within(Some(0.3), Some(0.55)).unwrap();
        assert_eq!((narrow.fit(0.0), narrow.fit(1.0)), (0.375, 0.5));
        let equal = Bounds { minimum: Some(1.1), maximum: Some(1.1), multiple_of: Some(0.1), ..Bounds::default() };
        assert_eq!(limits(equal, FeatureType::Number, 2).fit(0.0), 1.1);
        let open = Bounds { exclusive_minimum: Some(0.0), exclusive_maximum: Some(0.01), ..Bounds::default() };
        assert_eq!(limits(open, FeatureType::Number, 2).fit(5.0), 0.005);
    }
}
