//! Precision, recall and average precision against the simulator's labels.

use pulse_pipeline::Judged;
use serde::{Serialize, Serializer};

/// Resolution of the histograms of strengths from which average precision is computed.
const BINS: usize = 8192;

/// Verdicts by label: index 0 is unlabelled events, 1 genuine outliers, the rest what was injected.
#[derive(Debug, Clone)]
pub struct Quality {
    labels: Vec<String>,
    tallies: Vec<Tally>,
}

#[derive(Debug, Clone)]
struct Tally {
    events: u64,
    flagged: u64,
    strengths: Vec<u64>,
}

/// How well one kind of injected anomaly, or all of them, were found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KindQuality {
    /// Events of this kind.
    pub events: u64,
    /// Those that became anomalies.
    pub found: u64,
    /// `found / events`; none without events.
    pub recall: Option<f64>,
    /// `found / (found + false alarms)`, a false alarm being an anomaly without a label; none where there is neither.
    pub precision: Option<f64>,
    /// Area under the curve of precision over recall, as `sum((R_n - R_n-1) P_n)`, against all events without a label.
    pub average_precision: Option<f64>,
}

/// Genuine outliers of the replayed data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct GenuineOutliers {
    /// Events.
    pub events: u64,
    /// Those that became anomalies.
    pub found: u64,
}

/// Verdicts measured against labels.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QualityReport {
    /// All injected anomalies together.
    pub injected: KindQuality,
    /// Each kind by itself, in the order of the configuration.
    #[serde(serialize_with = "as_map")]
    pub kinds: Vec<(String, KindQuality)>,
    /// Genuine outliers of the replayed data. They count neither for nor against.
    pub genuine_outliers: GenuineOutliers,
    /// Events without a label that became anomalies.
    pub false_alarms: u64,
    /// Events without a label.
    pub normal_events: u64,
}

impl Quality {
    /// An empty count for `labels`.
    #[must_use]
    pub fn new(labels: &[String]) -> Self {
        let tally = Tally { events: 0, flagged: 0, strengths: vec![0; BINS] };
        Self { labels: labels.to_vec(), tallies: vec![tally; labels.len()] }
    }

    /// Counts verdicts.
    pub fn add(&mut self, judged: &[Judged]) {
        for verdict in judged {
            let Some(tally) = self.tallies.get_mut(usize::from(verdict.label)) else { continue };
            tally.events += 1;
            tally.flagged += u64::from(verdict.anomaly);
            tally.strengths[bin(verdict.strength)] += 1;
        }
    }

    /// The report; none while no event had a label.
    #[must_use]
    pub fn report(&self) -> Option<QualityReport> {
        let [normal, genuine, injected @ ..] = self.tallies.as_slice() else { return None };
        let all = injected.iter().fold(Tally { events: 0, flagged: 0, strengths: vec![0; BINS] }, |mut all, tally| {
            all.events += tally.events;
            all.flagged += tally.flagged;
            all.strengths.iter_mut().zip(&tally.strengths).for_each(|(sum, count)| *sum += count);
            all
        });
        if all.events + genuine.events == 0 {
            return None;
        }
        let kinds = self.labels[2..].iter().zip(injected).filter(|(_, tally)| tally.events > 0);
        Some(QualityReport {
            injected: all.against(normal),
            kinds: kinds.map(|(label, tally)| (label.clone(), tally.against(normal))).collect(),
            genuine_outliers: GenuineOutliers { events: genuine.events, found: genuine.flagged },
            false_alarms: normal.flagged,
            normal_events: normal.events,
        })
    }
}

impl Tally {
    fn against(&self, normal: &Self) -> KindQuality {
        KindQuality {
            events: self.events,
            found: self.flagged,
            recall: ratio(self.flagged, self.events),
            precision: ratio(self.flagged, self.flagged + normal.flagged),
            average_precision: self.average_precision(normal),
        }
    }

    fn average_precision(&self, normal: &Self) -> Option<f64> {
        let (mut hits, mut alarms, mut area) = (0, 0, 0.0);
        for (&positive, &negative) in self.strengths.iter().zip(&normal.strengths).rev() {
            hits += positive;
            alarms += negative;
            if let (Some(gained), Some(precision)) = (ratio(positive, self.events), ratio(hits, hits + alarms)) {
                area += gained * precision;
            }
        }
        (self.events > 0).then_some(area)
    }
}

fn as_map<S: Serializer>(kinds: &[(String, KindQuality)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(kinds.iter().map(|(name, quality)| (name, quality)))
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "clamped")]
fn bin(strength: f32) -> usize {
    ((strength.clamp(0.0, 1.0) * BINS as f32) as usize).min(BINS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quality(verdicts: &[(u16, bool, f32)]) -> QualityReport {
        let labels = ["", "genuine_outlier", "spike", "drift", "other"].map(str::to_owned);
        let mut quality = Quality::new(&labels);
        let judged: Vec<Judged> = verdicts
            .iter()
            .map(|&(label, anomaly, strength)| Judged { timestamp: 0, label, anomaly, strength })
            .collect();
        quality.add(&judged);
        quality.report().unwrap()
    }

    #[test]
    fn counts_by_hand() {
        let report = quality(&[
            (2, true, 0.9),
            (0, true, 0.8),
            (2, true, 0.7),
            (3, false, 0.4),
            (1, true, 0.95),
            (0, false, 0.3),
            (0, false, 0.1),
        ]);
        assert_eq!(report.injected.recall, Some(2.0 / 3.0));
        assert_eq!(report.injected.precision, Some(2.0 / 3.0));
        // By hand: 1/3 * 1/1 + 1/3 * 2/3 + 1/3 * 3/4.
        let expected = (1.0 + 2.0 / 3.0 + 3.0 / 4.0) / 3.0;
        assert!((report.injected.average_precision.unwrap() - expected).abs() < 1e-12);
        assert_eq!(report.genuine_outliers, GenuineOutliers { events: 1, found: 1 });
        assert_eq!((report.false_alarms, report.normal_events), (1, 3));
        assert_eq!(report.kinds.len(), 2);
        assert_eq!(report.kinds[1].1.recall, Some(0.0));
    }

    #[test]
    fn no_labels_no_report() {
        let quality = Quality::new(&["".to_owned(), "genuine_outlier".to_owned(), "other".to_owned()]);
        assert_eq!(quality.report(), None);
    }
}
