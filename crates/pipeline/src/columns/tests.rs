//! Tests of the ranges and of counting.

use proptest::prelude::*;
use pulse_core::use_case::raw::RawUseCase;

use super::bounds::{Limits, choose};
use super::*;

fn feature(json: serde_json::Value) -> Limits {
    let raw: RawUseCase = serde_json::from_value(serde_json::json!({"name": "x", "features": [json]})).unwrap();
    Limits::of(&UseCase::try_from(raw).unwrap().features[0])
}

fn buckets(bounds: &[f64]) -> ColumnBuckets {
    let column = Column { name: "x".into(), unit: None, description: String::new(), derived: false };
    ColumnBuckets { columns: vec![column], bounds: vec![Bounds::new(bounds)] }
}

#[test]
fn a_sample_gives_round_numbers_and_room_beyond() {
    let seen = (0..10_000).map(|i| f64::from(i) / 100.0).collect();
    let bounds = choose(seen, Limits::NONE);
    let expected =
        [0.1, 1.0, 5.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 95.0, 99.0, 100.0, 200.0, 1100.0];
    assert_eq!(bounds, expected);
    let far = (0..10_000).map(|i| 1e12 + f64::from(i)).collect();
    assert!(choose(far, Limits::NONE).len() >= 8);
}

#[test]
fn a_sample_of_few_values_gives_these() {
    assert_eq!(
        choose(vec![0.0, 0.0, 1.0, 1.0], feature(serde_json::json!({"name": "a", "type": "boolean"}))),
        [0.0, 1.0]
    );
    let skewed = [vec![1.0; 9000], vec![2.0; 1000]].concat();
    assert_eq!(choose(skewed, Limits::NONE), [0.0, 1.0, 2.0, 3.0, 12.0]);
}

#[test]
fn without_a_sample_limits_and_powers_of_ten_do() {
    let limits = feature(serde_json::json!({"name": "a", "minimum": 0, "maximum": 80}));
    let evenly: Vec<f64> = (0..=16).map(|i| f64::from(i) * 5.0).collect();
    assert_eq!(choose(vec![], limits), evenly);
    assert_eq!(choose(vec![4.0; 9], limits), evenly);
    let limits = feature(serde_json::json!({"name": "a", "type": "integer", "minimum": 1, "maximum": 4}));
    assert_eq!(choose(vec![], limits), [1.0, 2.0, 3.0, 4.0]);
    let limits = feature(serde_json::json!({"name": "a", "minimum": 0, "maximum": 1e5}));
    assert_eq!(choose(vec![], limits), [0.0, 0.01, 0.1, 1.0, 10.0, 100.0, 1e3, 1e4, 1e5]);
    assert_eq!(choose(vec![], Limits::NONE).len(), MAX_BOUNDS);
    assert_eq!(choose(vec![], feature(serde_json::json!({"name": "a", "type": "boolean"}))), [0.0, 1.0]);
}

#[test]
fn a_value_on_a_bound_belongs_to_it() {
    let buckets = buckets(&[1.0, 2.0]);
    let mut counts = ColumnCounts::new(&buckets);
    for value in [0.5, 1.0, 1.5, 2.0, 3.0, f64::NAN, f64::INFINITY] {
        counts.observe(&buckets, &[value]);
    }
    let mut twice = counts.clone();
    twice.add(&counts);
    twice.add(&ColumnCounts::default());
    assert_eq!((counts.ranges(&buckets, 0), counts.sum(0)), ([2, 2, 1].as_slice(), 8.0));
    assert_eq!((twice.ranges(&buckets, 0), twice.sum(0)), ([4, 4, 2].as_slice(), 16.0));
}

proptest! {
    #[test]
    fn bounds_rise_and_are_few(
        mut seen in prop::collection::vec(any::<f64>().prop_filter("finite", |value| value.is_finite()), 0..60),
        low in prop_oneof![Just(f64::NEG_INFINITY), -1e6..1e6],
        width in prop_oneof![Just(f64::INFINITY), 0.0..1e6],
    ) {
        seen.sort_by(f64::total_cmp);
        let limits = if low.is_finite() && width.is_finite() {
            feature(serde_json::json!({"name": "a", "minimum": low, "maximum": low + width}))
        } else {
            Limits::NONE
        };
        let bounds = choose(seen, limits);
        prop_assert!(bounds.len() <= MAX_BOUNDS);
        prop_assert!(bounds.iter().all(|bound| bound.is_finite()));
        prop_assert!(bounds.is_sorted_by(|a, b| a < b), "{:?}", bounds);
    }

    #[test]
    fn every_number_is_in_one_range(
        mut bounds in prop::collection::vec(-100.0..100.0, 0..MAX_BOUNDS),
        value in -150.0..150.0,
    ) {
        bounds.sort_by(f64::total_cmp);
        bounds.dedup();
        let buckets = buckets(&bounds);
        let mut counts = ColumnCounts::new(&buckets);
        counts.observe(&buckets, &[value]);
        let range = counts.ranges(&buckets, 0).iter().position(|&count| count == 1).unwrap();
        prop_assert_eq!(range, bounds.iter().filter(|bound| **bound < value).count());
    }
}
