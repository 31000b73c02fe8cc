//! Scores and explanations.

use crate::kinds::{fit, params, rows};
use linfa::Dataset;
use linfa::traits::{Fit, Predict};
use ndarray::{Array2, Axis};
use proptest::prelude::*;
use pulse_forest::{ForestParams, IsolationForest};

#[test]
fn rows_of_many_blocks_are_explained_as_alone() {
    let rows = Array2::from_shape_fn((700, 9), |(row, column)| match (row * 31 + column * 17) % 97 {
        0 => f64::NAN,
        value => (value * value % 89) as f64,
    });
    for params in [ForestParams::default(), ForestParams::accurate()] {
        let forest = fit(&rows, &params.trees(5));
        let together = forest.contributions_of_rows(rows.view());
        let single = forest.contributions_of_rows(rows.mapv(|value| value as f32).view());
        assert_eq!(together, single);
        for (row, together) in rows.rows().into_iter().zip(together.rows()) {
            assert_eq!(forest.contributions(&row.to_vec()), together.to_vec());
        }
    }
}

proptest! {
    #[test]
    fn scores_lie_above_0_and_at_most_at_1(rows in rows(), params in params()) {
        for score in fit(&rows, &params).predict(&rows) {
            prop_assert!(score > 0.0 && score <= 1.0, "{score}");
        }
    }

    #[test]
    fn equal_input_gives_an_equal_forest(rows in rows(), params in params()) {
        prop_assert_eq!(fit(&rows, &params).predict(&rows), fit(&rows, &params).predict(&rows));
    }

    #[test]
    fn threads_change_nothing(rows in rows(), params in params(), threads in 2..20_usize) {
        let alone = fit(&rows, &params);
        let together = fit(&rows, &params.threads(threads));
        prop_assert_eq!(alone.predict(&rows), together.predict(&rows));
        let row = rows.row(0).to_vec();
        prop_assert_eq!(alone.contributions(&row), together.contributions(&row));
    }

    #[test]
    fn single_precision_is_what_trees_see(rows in rows(), params in params()) {
        let single = rows.mapv(|value| value as f32);
        let of_single: IsolationForest = params.fit(&Dataset::from(single.clone())).unwrap();
        let of_double = fit(&rows, &params);
        prop_assert_eq!(of_single.predict(&single), of_double.predict(&rows));
    }

    #[test]
    fn rows_of_any_width_are_scored_alike_alone_and_together(columns in 1..300_usize, params in params()) {
        let rows = Array2::from_shape_fn((40, columns), |(row, column)| ((row * 31 + column * 17) % 97) as f64);
        let forest = fit(&rows, &params);
        let explained = forest.contributions_of_rows(rows.view());
        for (index, (row, score)) in rows.rows().into_iter().zip(forest.predict(&rows)).enumerate() {
            prop_assert_eq!(forest.score_one(&row.to_vec()), score);
            prop_assert_eq!(forest.contributions(&row.to_vec()), explained.row(index).to_vec());
            prop_assert_eq!(forest.score_and_contributions(&row.to_vec()), (score, explained.row(index).to_vec()));
        }
    }

    #[test]
    fn a_score_depends_on_its_row_alone(rows in rows(), params in params()) {
        let forest = fit(&rows, &params);
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
    fn path_reductions_sum_to_what_the_score_says(rows in rows(), params in params()) {
        let forest = fit(&rows, &params);
        for row in rows.rows() {
            let row = row.to_vec();
            let sum: f64 = forest.path_reductions(&row).iter().sum();
            let mean_path_length = forest.mean_path_length();
            let own = -forest.score_one(&row).log2() * mean_path_length;
            prop_assert!((sum - (mean_path_length - own)).abs() < 1e-3, "{sum}, {mean_path_length}, {own}");
        }
    }

    #[test]
    fn contributions_are_shares(rows in rows(), params in params()) {
        let forest = fit(&rows, &params);
        for row in rows.rows() {
            let shares = forest.contributions(&row.to_vec());
            prop_assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)), "{shares:?}");
            prop_assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{shares:?}");
        }
        for (row, shares) in rows.rows().into_iter().zip(forest.contributions_of_rows(rows.view()).rows()) {
            prop_assert_eq!(forest.contributions(&row.to_vec()), shares.to_vec());
        }
    }
}
