//! Verdicts by label.

use pulse_pipeline::Judged;

/// Events and anomalies of each label of the plan: none, genuine outliers, then what was injected.
#[derive(Debug)]
pub(super) struct Tallies(Vec<Tally>);

#[derive(Debug, Clone)]
struct Tally {
    label: String,
    events: u64,
    anomalies: u64,
}

impl Tallies {
    pub(super) fn new(labels: &[String]) -> Self {
        Self(labels.iter().map(|label| Tally { label: label.clone(), events: 0, anomalies: 0 }).collect())
    }

    pub(super) fn add(&mut self, judged: &[Judged]) {
        for verdict in judged {
            let Some(tally) = self.0.get_mut(usize::from(verdict.label)) else { continue };
            tally.events += 1;
            tally.anomalies += u64::from(verdict.anomaly);
        }
    }

    /// The share of injected events among the anomalies. Genuine outliers count neither for nor against. None before the
    /// first injected event: where nothing is labelled, nothing is known.
    pub(super) fn precision(&self) -> Option<f64> {
        let (events, found) = self.injected();
        let alarms = self.0.first().map_or(0, |unlabelled| unlabelled.anomalies);
        (events > 0 && found + alarms > 0).then(|| found as f64 / (found + alarms) as f64)
    }

    /// The share of anomalies among the injected events.
    pub(super) fn recall(&self) -> Option<f64> {
        let (events, found) = self.injected();
        (events > 0).then(|| found as f64 / events as f64)
    }

    /// The same for each kind that came.
    pub(super) fn recall_by_kind(&self) -> impl Iterator<Item = (&str, f64)> {
        let kinds = self.0.iter().skip(2).filter(|kind| kind.events > 0);
        kinds.map(|kind| (kind.label.as_str(), kind.anomalies as f64 / kind.events as f64))
    }

    fn injected(&self) -> (u64, u64) {
        self.0.iter().skip(2).fold((0, 0), |(events, found), kind| (events + kind.events, found + kind.anomalies))
    }
}
