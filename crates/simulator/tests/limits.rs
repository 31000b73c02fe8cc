//! Whatever is drawn for a number obeys the limits of its feature.

use proptest::prelude::*;
use pulse_core::use_case::{Bounds, Feature, FeatureType, NumberLimits};

/// A limit, mostly with few digits, as people write them.
fn limit() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![
        3 => Just(None),
        4 => (-4000..4000_i32).prop_map(|eighths| Some(f64::from(eighths) / 8.0)),
        4 => (-90_000..90_000_i32).prop_map(|cents| Some(f64::from(cents) / 100.0)),
        1 => (-1e15..1e15).prop_map(Some),
    ]
}

fn step() -> impl Strategy<Value = Option<f64>> {
    let usual = prop::sample::select(&[0.125, 2.5, 0.1, 0.01, 0.3, 0.75, 1.0, 5.0, 7.0, 60.0, 1e6][..]);
    prop_oneof![1 => Just(None), 3 => usual.prop_map(Some)]
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![8 => -2000.0..2000.0, 1 => any::<f64>(), 1 => prop::sample::select(&[f64::NAN, f64::INFINITY, -1e300][..])]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]
    #[test]
    fn what_is_drawn_obeys_the_schema(
        (minimum, exclusive_minimum, maximum, exclusive_maximum) in (limit(), limit(), limit(), limit()),
        multiple_of in step(),
        is_integer: bool,
        decimals in 0_u8..=9,
        (value, narrow_low, narrow_high) in (value(), limit(), limit()),
    ) {
        let bounds = Bounds { minimum, exclusive_minimum, maximum, exclusive_maximum, multiple_of };
        let kind = if is_integer { FeatureType::Integer } else { FeatureType::Number };
        let limits = NumberLimits::new(&Feature { bounds, kind, ..Feature::default() }, decimals);
        // Without a number between the limits there is nothing to draw, which is a fault of the use case.
        for limits in [limits.within(None, None), limits.within(narrow_low, narrow_high)].into_iter().flatten() {
            let fitted = limits.fit(value);
            let is_obeyed = bounds.check(fitted);
            // Limits that contradict each other are refused before anything is drawn.
            if is_obeyed.is_err() && bounds_are_empty(&bounds) {
                continue;
            }
            prop_assert_eq!(is_obeyed, Ok(()), "{} became {} in {:?}", value, fitted, bounds);
            prop_assert!(fitted.is_finite() && (!is_integer || fitted.fract() == 0.0), "{} in {:?}", fitted, bounds);
        }
    }
}

/// Whether no number at all lies between the limits, whatever its step.
fn bounds_are_empty(bounds: &Bounds) -> bool {
    let low = bounds.minimum.into_iter().chain(bounds.exclusive_minimum).fold(f64::NEG_INFINITY, f64::max);
    let high = bounds.maximum.into_iter().chain(bounds.exclusive_maximum).fold(f64::INFINITY, f64::min);
    let is_open = bounds.exclusive_minimum == Some(low) || bounds.exclusive_maximum == Some(high);
    low > high || (low == high && is_open)
}
