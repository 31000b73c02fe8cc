//! Rows and forests for property tests.

use linfa::Dataset;
use linfa::traits::Fit;
use ndarray::Array2;
use proptest::prelude::*;
use pulse_forest::{ForestParams, IsolationForest};

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        8 => -1e3..1e3,
        2 => Just(1.0),
        1 => Just(f64::NAN),
        1 => any::<f64>(),
    ]
}

/// Rows of all kinds.
pub(crate) fn rows() -> impl Strategy<Value = Array2<f64>> {
    (1_usize..80, 1_usize..5).prop_flat_map(|(rows, columns)| {
        prop::collection::vec(value(), rows * columns)
            .prop_map(move |values| Array2::from_shape_vec((rows, columns), values).unwrap())
    })
}

/// Forests of all kinds.
pub(crate) fn params() -> impl Strategy<Value = ForestParams> {
    let of = |(seed, smallest, columns, depth, weight)| {
        let params = ForestParams::default().trees(11).sample_size(32).smallest_sample(smallest);
        params.seed(seed).columns_per_split(columns).depth_factor(depth).density_weight(weight)
    };
    let weight = prop_oneof![Just(0.0), 0.0..=1.0];
    (any::<u64>(), 2..=32_u32, prop_oneof![Just(1_u32), 2..=6_u32], 1..=4_u32, weight).prop_map(of)
}

/// The forest of `rows`.
pub(crate) fn fit(rows: &Array2<f64>, params: &ForestParams) -> IsolationForest {
    params.fit(&Dataset::from(rows.clone())).unwrap()
}
