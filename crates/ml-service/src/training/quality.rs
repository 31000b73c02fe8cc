//! How well scores tell labelled anomalies apart.

use serde::{Deserialize, Serialize};

/// How well a model's scores tell the labelled rows apart that it was trained on; labels are not looked at in training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// Labelled rows.
    pub rows: usize,
    /// Those that are anomalies.
    pub anomalies: usize,
    /// The chance that an anomaly scores above another row: the area under the ROC curve.
    pub roc_auc: f64,
    /// Precision, averaged over the anomalies found as the threshold falls.
    pub average_precision: f64,
    /// Share of the rows at or above the threshold that are anomalies; 0 where there are none.
    pub precision: f64,
    /// Share of the anomalies that are at or above the threshold.
    pub recall: f64,
}

impl Quality {
    /// Of `scored`, each a score and whether it is an anomaly's; none where all rows are alike. Rows of equal score count together.
    pub(crate) fn of(mut scored: Vec<(f64, bool)>, threshold: f64) -> Option<Self> {
        scored.sort_by(|a, b| b.0.total_cmp(&a.0));
        let anomalies = scored.iter().filter(|(_, is_anomaly)| *is_anomaly).count();
        let others = scored.len() - anomalies;
        if anomalies == 0 || others == 0 {
            return None;
        }
        let (mut found, mut wrong, mut area, mut average_precision) = (0.0, 0.0, 0.0, 0.0);
        let (mut precision, mut recall) = (0.0, 0.0);
        for alike in scored.chunk_by(|a, b| a.0 == b.0) {
            let right = alike.iter().filter(|(_, is_anomaly)| *is_anomaly).count() as f64;
            let rest = alike.len() as f64 - right;
            area += rest * (found + right / 2.0);
            found += right;
            wrong += rest;
            average_precision += right / anomalies as f64 * found / (found + wrong);
            if alike.first().is_some_and(|(score, _)| *score >= threshold) {
                (precision, recall) = (found / (found + wrong), found / anomalies as f64);
            }
        }
        let roc_auc = area / (anomalies as f64 * others as f64);
        Some(Self { rows: scored.len(), anomalies, roc_auc, average_precision, precision, recall })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_agrees_with_figures_worked_out_by_hand() {
        let scored = vec![(0.9, true), (0.8, false), (0.7, true), (0.6, false), (0.5, false)];
        let quality = Quality::of(scored, 0.65).unwrap();
        assert_eq!((quality.rows, quality.anomalies), (5, 2));
        // Of six pairs, one is the wrong way round.
        assert!((quality.roc_auc - 5.0 / 6.0).abs() < 1e-12);
        assert!((quality.average_precision - (1.0 + 2.0 / 3.0) / 2.0).abs() < 1e-12);
        assert_eq!((quality.precision, quality.recall), (2.0 / 3.0, 1.0));
    }

    #[test]
    fn equal_scores_tell_nothing_apart() {
        let quality = Quality::of(vec![(0.5, true), (0.5, false), (0.5, false), (0.5, true)], 0.9).unwrap();
        assert_eq!((quality.roc_auc, quality.average_precision), (0.5, 0.5));
        assert_eq!((quality.precision, quality.recall), (0.0, 0.0));
        assert_eq!(Quality::of(vec![(0.5, false)], 0.1), None);
    }
}
