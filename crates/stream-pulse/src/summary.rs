//! What a run came to, for people and for machines.

use std::fmt::{self, Write as _};
use std::time::Duration;

use pulse_core::Severity;
use pulse_pipeline::{DETECTOR_FOREST, DETECTOR_ROLLING};
use pulse_stream_processor::{GenuineOutliers, KindQuality, QualityReport, Summary};
use serde::{Serialize, Serializer};

/// The summary of a run of `up`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct UpSummary {
    use_case: String,
    events: u64,
    seconds: f64,
    events_per_second: f64,
    anomalies: u64,
    #[serde(serialize_with = "as_map")]
    anomalies_by_severity: Vec<(&'static str, u64)>,
    #[serde(serialize_with = "as_map")]
    anomalies_by_detector: Vec<(&'static str, u64)>,
    stored: u64,
    dead_letters: u64,
    precision: Option<f64>,
    recall: Option<f64>,
    average_precision: Option<f64>,
    quality: Option<QualityReport>,
    latency_p50_ms: Option<u64>,
    latency_p99_ms: Option<u64>,
    ready_seconds: f64,
    model_version: Option<String>,
}

/// What a run was, besides what the processor counted.
#[derive(Debug, Clone)]
pub(crate) struct RunFacts {
    /// The use case.
    pub(crate) use_case: String,
    /// From the first event to the last verdict.
    pub(crate) elapsed: Duration,
    /// From the start of the program until everything was ready.
    pub(crate) ready: Duration,
    /// Anomalies that the writer stored.
    pub(crate) stored: u64,
    /// The model in force.
    pub(crate) model_version: Option<String>,
    /// Whether record timestamps are the time of production, so that latencies mean something.
    pub(crate) live: bool,
}

impl UpSummary {
    /// Puts a summary together.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    pub(crate) fn new(facts: RunFacts, summary: &Summary) -> Self {
        let counts = &summary.counts;
        let seconds = facts.elapsed.as_secs_f64();
        let quality = summary.quality.report();
        let injected = quality.as_ref().map(|quality| &quality.injected);
        let latency = |quantile| {
            let any = facts.live && !summary.latency_ms.is_empty();
            any.then(|| summary.latency_ms.value_at_quantile(quantile))
        };
        let severities = [Severity::Critical, Severity::High, Severity::Warning].map(Severity::as_str);
        let [warning, high, critical] = counts.anomalies;
        Self {
            use_case: facts.use_case,
            events: counts.read,
            seconds,
            events_per_second: if seconds > 0.0 { counts.read as f64 / seconds } else { 0.0 },
            anomalies: counts.all_anomalies(),
            anomalies_by_severity: severities.into_iter().zip([critical, high, warning]).collect(),
            anomalies_by_detector: vec![(DETECTOR_FOREST, counts.by_forest), (DETECTOR_ROLLING, counts.by_rolling)],
            stored: facts.stored,
            dead_letters: counts.dead_letters,
            precision: injected.and_then(|injected| injected.precision),
            recall: injected.and_then(|injected| injected.recall),
            average_precision: injected.and_then(|injected| injected.average_precision),
            quality,
            latency_p50_ms: latency(0.5),
            latency_p99_ms: latency(0.99),
            ready_seconds: facts.ready.as_secs_f64(),
            model_version: facts.model_version,
        }
    }
}

impl fmt::Display for UpSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{} · summary of this run", self.use_case)?;
        writeln!(
            f,
            "  events         {} in {:.1} s = {} events/s",
            thousands(self.events),
            self.seconds,
            rate(self.events_per_second)
        )?;
        let severities = list(&self.anomalies_by_severity);
        writeln!(
            f,
            "  anomalies      {} ({severities}), stored {}",
            thousands(self.anomalies),
            thousands(self.stored)
        )?;
        writeln!(f, "  by detector    {}", list(&self.anomalies_by_detector))?;
        writeln!(f, "  dead letters   {}", thousands(self.dead_letters))?;
        if let (Some(p50), Some(p99)) = (self.latency_p50_ms, self.latency_p99_ms) {
            writeln!(
                f,
                "  latency        p50 {p50} ms, p99 {p99} ms, from an event's creation to its committed verdict"
            )?;
        }
        let Some(quality) = &self.quality else { return Ok(()) };
        writeln!(f, "\n  against the injected labels     events   found   recall   precision   average precision")?;
        row(f, "all injected", &quality.injected)?;
        for (kind, of_kind) in &quality.kinds {
            row(f, kind, of_kind)?;
        }
        let GenuineOutliers { events, found } = quality.genuine_outliers;
        writeln!(f, "  genuine outliers of the data: {found} of {events} found; they count neither way")?;
        writeln!(
            f,
            "  false alarms: {} of {} other events",
            thousands(quality.false_alarms),
            thousands(quality.normal_events)
        )
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, quality: &KindQuality) -> fmt::Result {
    let number = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.3}"));
    writeln!(
        f,
        "    {name:<26} {:>9} {:>7} {:>8} {:>11} {:>19}",
        thousands(quality.events),
        thousands(quality.found),
        number(quality.recall),
        number(quality.precision),
        number(quality.average_precision)
    )
}

fn as_map<S: Serializer>(counts: &[(&str, u64)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(counts.iter().copied())
}

fn list(counts: &[(&str, u64)]) -> String {
    let mut text = String::new();
    for (i, (name, count)) in counts.iter().enumerate() {
        let comma = if i == 0 { "" } else { ", " };
        // Writing to a string cannot fail.
        write!(text, "{comma}{name} {}", thousands(*count)).unwrap_or_default();
    }
    text
}

/// `value` without a fraction, with commas.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate for people to read")]
pub(crate) fn rate(value: f64) -> String {
    thousands(value.max(0.0).round() as u64)
}

/// `value` with commas between thousands.
pub(crate) fn thousands(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_stand_between_thousands() {
        for (value, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(thousands(value), text);
        }
    }
}
