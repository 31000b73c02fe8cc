//! What holds of every forest, whatever the rows.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use linfa::Dataset;
use linfa::traits::{Fit, Predict};
use ndarray::{Array2, Axis};
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

fn rows() -> impl Strategy<Value = Array2<f64>> {
    (1_usize..80, 1_usize..5).prop_flat_map(|(rows, columns)| {
        prop::collection::vec(value(), rows * columns)
            .prop_map(move |values| Array2::from_shape_vec((rows, columns), values).unwrap())
    })
}

fn fit(rows: &Array2<f64>, seed: u64) -> IsolationForest {
    let params = ForestParams::default().trees(12).sample_size(32).seed(seed);
    params.fit(&Dataset::from(rows.clone())).unwrap()
}

proptest! {
    #[test]
    fn scores_lie_above_0_and_at_most_at_1(rows in rows(), seed: u64) {
        for score in fit(&rows, seed).predict(&rows) {
            prop_assert!(score > 0.0 && score <= 1.0, "{score}");
        }
    }

    #[test]
    fn equal_input_gives_an_equal_forest(rows in rows(), seed: u64) {
        prop_assert_eq!(fit(&rows, seed).predict(&rows), fit(&rows, seed).predict(&rows));
    }

    #[test]
    fn a_score_depends_on_its_row_alone(rows in rows(), seed: u64) {
        let forest = fit(&rows, seed);
        let scores = forest.predict(&rows);
        let mut reversed = rows.clone();
        reversed.invert_axis(Axis(0));
        let mut reversed_scores = forest.predict(&reversed);
        reversed_scores.invert_axis(Axis(0));
        prop_assert_eq!(&scores, &reversed_scores);
        for (row, score) in rows.rows().into_iter().zip(scores) {
            prop_assert_eq!(forest.score_one(&row.to_vec()), score);
        }
    }

    #[test]
    fn path_reductions_sum_to_what_the_score_says(rows in rows(), seed: u64) {
        let forest = fit(&rows, seed);
        for row in rows.rows() {
            let row = row.to_vec();
            let sum: f64 = forest.path_reductions(&row).iter().sum();
            let mean_path_length = forest.mean_path_length();
            let own = -forest.score_one(&row).log2() * mean_path_length;
            prop_assert!((sum - (mean_path_length - own)).abs() < 1e-3, "{sum}, {mean_path_length}, {own}");
        }
    }

    #[test]
    fn contributions_are_shares(rows in rows(), seed: u64) {
        let forest = fit(&rows, seed);
        for row in rows.rows() {
            let shares = forest.contributions(&row.to_vec());
            prop_assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)), "{shares:?}");
            prop_assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{shares:?}");
        }
    }
}
