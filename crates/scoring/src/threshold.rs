//! From which score on a row is an anomaly.

use crate::info::ScoreQuantile;

/// Quantiles of the training scores that a model reports.
const REPORTED: [f64; 9] = [0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0];

/// The lowest threshold that at most `floor(rate * n)` of the `n` training scores reach, where a score reaches it that is
/// equal or higher: the number right above the score that is next after those many highest ones.
///
/// It is the `1 - rate` quantile, with ties decided so that rows which are all alike are not all anomalies. `sorted` rises.
pub(crate) fn for_rate(sorted: &[f64], rate: f64) -> f64 {
    let allowed = (rate * sorted.len() as f64).floor() as usize;
    let below = sorted.len().checked_sub(allowed + 1).and_then(|index| sorted.get(index));
    below.map_or(1.0, |score| score.next_up().min(1.0))
}

/// The scores at and below which given shares of `sorted` lie, each the nearest that occurred.
pub(crate) fn quantiles(sorted: &[f64]) -> Vec<ScoreQuantile> {
    let last = sorted.len().saturating_sub(1);
    let at = |share: f64| sorted.get((share * last as f64).round() as usize);
    REPORTED.iter().filter_map(|&share| at(share).map(|&score| ScoreQuantile { share, score })).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn flagged(scores: &[f64], threshold: f64) -> usize {
        scores.iter().filter(|&&score| score >= threshold).count()
    }

    #[test]
    fn exactly_the_expected_rate_reaches_it_where_scores_differ() {
        let scores: Vec<f64> = (1..=1000).map(|i| f64::from(i) / 1001.0).collect();
        assert_eq!(flagged(&scores, for_rate(&scores, 0.01)), 10);
        assert_eq!(flagged(&scores, for_rate(&scores, 0.5)), 500);
    }

    #[test]
    fn rows_that_are_all_alike_are_no_anomalies() {
        let scores = [0.5; 300];
        let threshold = for_rate(&scores, 0.1);
        assert_eq!(flagged(&scores, threshold), 0);
        assert!(threshold < 0.500_001);
    }

    #[test]
    fn quantiles_are_scores_that_occurred() {
        let quantiles = quantiles(&[0.2, 0.4, 0.6]);
        assert_eq!(quantiles[0], ScoreQuantile { share: 0.0, score: 0.2 });
        assert_eq!(quantiles[4], ScoreQuantile { share: 0.5, score: 0.4 });
        assert_eq!(quantiles[8], ScoreQuantile { share: 1.0, score: 0.6 });
    }

    proptest! {
        #[test]
        fn no_more_than_the_rate_reaches_it(
            mut scores in prop::collection::vec((1..100_u32).prop_map(|i| f64::from(i) / 100.0), 1..300),
            rate in 0.001..0.5,
        ) {
            scores.sort_by(f64::total_cmp);
            let threshold = for_rate(&scores, rate);
            let allowed = rate * scores.len() as f64;
            prop_assert!(flagged(&scores, threshold) as f64 <= allowed);
            // It is the lowest such: the score right below it would flag too many.
            let below = scores.iter().rev().find(|&&score| score < threshold).copied();
            prop_assert!(below.is_none_or(|below| flagged(&scores, below) as f64 > allowed.floor()));
        }
    }
}
