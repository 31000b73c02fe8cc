//! Anomalies in the log, a line each as they are found, for whoever follows it.

use std::time::{Duration, Instant};

use pulse_core::names::TOPIC_ANOMALIES;
use pulse_core::{Anomaly, NewRecord};

const WINDOW: Duration = Duration::from_secs(1);

/// Writes committed anomalies into the log, so many a second at the most; what it leaves out, it counts.
#[derive(Debug)]
pub(crate) struct AnomalyLog {
    per_second: u32,
    /// When the current second began.
    since: Option<Instant>,
    shown: u32,
    left_out: u64,
}

impl AnomalyLog {
    /// A log of `per_second` lines; of none, where that is 0.
    pub(crate) fn new(per_second: u32) -> Self {
        Self { per_second, since: None, shown: 0, left_out: 0 }
    }

    /// Shows the anomalies among `outputs`, which are committed.
    pub(crate) fn committed<'a>(&mut self, outputs: impl IntoIterator<Item = &'a NewRecord>) {
        if self.per_second == 0 {
            return;
        }
        self.turn(Instant::now());
        for record in outputs.into_iter().filter(|record| &*record.topic == TOPIC_ANOMALIES) {
            if self.shown < self.per_second {
                self.shown += 1;
                show(&record.payload);
            } else {
                self.left_out += 1;
            }
        }
    }

    /// Begins a new second, where the last one is over.
    fn turn(&mut self, now: Instant) {
        if self.since.is_some_and(|since| now.duration_since(since) < WINDOW) {
            return;
        }
        self.tell_left_out();
        (self.since, self.shown) = (Some(now), 0);
    }

    fn tell_left_out(&mut self) {
        if self.left_out > 0 {
            tracing::info!(anomalies = self.left_out, "… and {} more", self.left_out);
        }
        self.left_out = 0;
    }
}

impl Drop for AnomalyLog {
    fn drop(&mut self) {
        self.tell_left_out();
    }
}

fn show(payload: &[u8]) {
    // We wrote it ourselves: were it ever not to parse, the line would be all that is lost.
    let Ok(anomaly) = serde_json::from_slice::<Anomaly>(payload) else { return };
    tracing::info!(
        entity = anomaly.entity,
        severity = anomaly.severity.as_str(),
        score = short(anomaly.score),
        reason = reason(&anomaly),
        event_time = %anomaly.event_time,
        id = %anomaly.id,
        "anomaly"
    );
}

/// What tells most about why it is one.
fn reason(anomaly: &Anomaly) -> String {
    let Some(decider) = anomaly.detectors.first() else { return "no detector".to_owned() };
    let values = (&decider.feature, decider.value, decider.expected);
    if let (Some(feature), Some(value), Some(expected)) = values {
        let [value, low, high] = [value, expected.low, expected.high].map(short);
        return format!("{feature} is {value}, expected {low} to {high}");
    }
    let largest = anomaly.contributions.iter().max_by(|a, b| a.1.total_cmp(b.1));
    match largest {
        Some((column, share)) => {
            let value = anomaly.features.get(column).map_or_else(|| "missing".to_owned(), |value| short(*value));
            format!("{column} is {value}, {:.0} % of the {} score", share * 100.0, decider.name)
        }
        None => decider.name.clone(),
    }
}

/// A number with as many digits as people read.
fn short(number: f64) -> String {
    let size = number.abs();
    if size != 0.0 && !(1e-3..1e9).contains(&size) {
        return format!("{number:.2e}");
    }
    let text = format!("{number:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests;
