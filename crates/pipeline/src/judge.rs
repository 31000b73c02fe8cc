//! Decides which events are anomalies, once their rows are scored.

use std::ops::Range;
use std::sync::Arc;

use jiff::Timestamp;
use pulse_core::names::HEADER_LABEL;
use pulse_core::ports::Scores;
use pulse_core::{DetectorVerdict, Expected, Matrix, RecordBatch, Severity, TimestampMs};
use pulse_detect::Deviation;
use pulse_features::Fault;

use crate::columns::ColumnCounts;
use crate::emit;
use crate::outcome::{Counts, Judged, Outcome};
use crate::plan::{DETECTOR_FOREST, DETECTOR_ROLLING, Plan};

/// An event that passed validation.
#[derive(Debug)]
pub(crate) struct Event {
    /// Index of its record in the batch.
    pub(crate) index: usize,
    /// Where its entity stands in [`Prepared::entities`].
    pub(crate) entity: Range<usize>,
    /// Its time.
    pub(crate) time: TimestampMs,
    /// Its largest rolling score.
    pub(crate) rolling_score: f64,
}

/// A column of an event for which the rolling rule fired.
#[derive(Debug)]
pub(crate) struct Fired {
    /// Index of the event.
    pub(crate) event: usize,
    /// Index of the column among those that the rule watches.
    pub(crate) feature: usize,
    /// Its value.
    pub(crate) value: f64,
    /// How it deviated.
    pub(crate) deviation: Deviation,
}

/// A batch that waits for its scores.
#[derive(Debug)]
pub struct Prepared {
    pub(crate) plan: Arc<Plan>,
    pub(crate) batch: RecordBatch,
    pub(crate) events: Vec<Event>,
    /// The entities of all events, one after another.
    pub(crate) entities: String,
    /// In the order of the events.
    pub(crate) fired: Vec<Fired>,
    /// What the rolling rule watches of each event, one after another, where it looks later.
    pub(crate) watched: Vec<f64>,
    /// Records that failed validation, by index, and why.
    pub(crate) dead: Vec<(usize, Vec<Fault>)>,
    pub(crate) rows: Matrix,
    pub(crate) counts: Counts,
    pub(crate) columns: ColumnCounts,
}

/// The verdict on an event, before it is written down.
pub(crate) struct Verdict {
    pub(crate) severity: Severity,
    pub(crate) detectors: Vec<DetectorVerdict>,
    /// Index into the scores' contributions.
    pub(crate) contributions: Option<usize>,
}

impl Prepared {
    /// The rows to be scored, one for each event that passed validation. Empty without a model.
    #[must_use]
    pub fn rows(&self) -> &Matrix {
        &self.rows
    }

    /// Entity and offset of the event at `position`.
    pub(crate) fn event(&self, position: usize) -> (&str, u64) {
        let event = &self.events[position];
        (&self.entities[event.entity.clone()], self.batch.records[event.index].offset)
    }

    /// The partition.
    #[must_use]
    pub fn partition(&self) -> u32 {
        self.batch.partition
    }

    /// Where the partition goes on behind this batch.
    #[must_use]
    pub fn next_offset(&self) -> u64 {
        self.batch.next_offset
    }

    /// Decides, and writes the anomalies and dead letters.
    pub(crate) fn judge(mut self, scores: &Scores, detected_at: Timestamp) -> Outcome {
        let mut outcome = Outcome {
            outputs: Vec::new(),
            counts: self.counts,
            judged: Vec::with_capacity(self.events.len()),
            columns: std::mem::take(&mut self.columns),
        };
        let (mut fired, mut dead) = (self.fired.as_slice(), self.dead.iter().peekable());
        let mut contributions = 0;
        for (position, event) in self.events.iter().enumerate() {
            while let Some((index, faults)) = dead.next_if(|(index, _)| *index < event.index) {
                outcome.outputs.push(emit::dead_letter(&self.plan, &self.batch, *index, faults));
            }
            let ours = fired.iter().take_while(|fired| fired.event == position).count();
            let (here, rest) = fired.split_at(ours);
            fired = rest;
            let explained = scores.contributions.get(contributions).is_some_and(|(row, _)| *row == position);
            let verdict = self.verdict(position, here, scores, explained.then_some(contributions));
            contributions += usize::from(explained);
            let record = &self.batch.records[event.index];
            outcome.judged.push(Judged {
                timestamp: record.timestamp,
                anomaly: verdict.is_some(),
                strength: self.strength(event, scores.scores.get(position).copied(), scores.threshold),
                label: self.plan.label_index(record.headers.get_str(HEADER_LABEL)),
            });
            if let Some(verdict) = verdict {
                outcome.counts.add_anomaly(verdict.severity);
                let fired_by = |name| u64::from(verdict.detectors.iter().any(|detector| detector.name == name));
                outcome.counts.by_forest += fired_by(DETECTOR_FOREST);
                outcome.counts.by_rolling += fired_by(DETECTOR_ROLLING);
                outcome.outputs.extend(emit::anomaly(&self, position, verdict, scores, detected_at));
            }
        }
        outcome.outputs.extend(dead.map(|(index, faults)| emit::dead_letter(&self.plan, &self.batch, *index, faults)));
        outcome.counts.judged = self.events.len() as u64;
        outcome.counts.dead_letters = self.dead.len() as u64;
        outcome
    }

    /// The verdict, where a deciding detector fired: deciding detectors first, then by how far beyond their thresholds.
    fn verdict(
        &self,
        position: usize,
        fired: &[Fired],
        scores: &Scores,
        contributions: Option<usize>,
    ) -> Option<Verdict> {
        let mut found: Vec<(bool, f64, DetectorVerdict)> = Vec::new();
        if let (Some(forest), Some(&score)) = (&self.plan.forest, scores.scores.get(position))
            && score >= scores.threshold
        {
            let excess = (score - scores.threshold) / (scores.highest - scores.threshold).max(f64::EPSILON);
            found.push((forest.decides, excess, forest_verdict(score, scores)));
        }
        if let Some(rolling) = &self.plan.rolling {
            for Fired { feature, value, deviation, .. } in fired {
                let threshold = rolling.rule.threshold();
                let excess = 1.0 - threshold / deviation.score.max(threshold);
                let name = rolling.columns[*feature].1.clone();
                found.push((rolling.decides, excess, rolling_verdict(name, *value, deviation, threshold)));
            }
        }
        // A stable sort: ties stay in the order of the configuration.
        found.sort_by(|a, b| b.0.cmp(&a.0).then(b.1.total_cmp(&a.1)));
        let &(decides, excess, _) = found.first()?;
        decides.then(|| Verdict {
            severity: Severity::of_excess(excess),
            detectors: found.into_iter().map(|(_, _, verdict)| verdict).collect(),
            contributions,
        })
    }

    #[expect(clippy::cast_possible_truncation, reason = "a strength is drawn into a histogram, no more")]
    fn strength(&self, event: &Event, score: Option<f64>, threshold: f64) -> f32 {
        let forest = self.plan.forest.as_ref().filter(|forest| forest.decides).and(score).map(|s| (s, threshold));
        let rolling = self.plan.rolling.as_ref().filter(|rolling| rolling.decides);
        let rolling = rolling.map(|rolling| (event.rolling_score, rolling.rule.threshold()));
        let strengths = forest.into_iter().chain(rolling).map(|(score, threshold)| score / (score + threshold));
        strengths.fold(0.0, f64::max) as f32
    }
}

fn forest_verdict(score: f64, scores: &Scores) -> DetectorVerdict {
    DetectorVerdict {
        name: DETECTOR_FOREST.to_owned(),
        feature: None,
        score,
        threshold: scores.threshold,
        value: None,
        expected: None,
        model_version: Some(scores.model_version.to_string()),
    }
}

fn rolling_verdict(feature: String, value: f64, deviation: &Deviation, threshold: f64) -> DetectorVerdict {
    let reach = threshold * deviation.sd;
    DetectorVerdict {
        name: DETECTOR_ROLLING.to_owned(),
        feature: Some(feature),
        score: deviation.score,
        threshold,
        value: Some(value),
        expected: Some(Expected {
            value: deviation.mean,
            // JSON has no infinity.
            low: (deviation.mean - reach).max(f64::MIN),
            high: (deviation.mean + reach).min(f64::MAX),
        }),
        model_version: None,
    }
}
