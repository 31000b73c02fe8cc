//! The record that every anomaly becomes, on the wire and in the database.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use xxhash_rust::xxh3::Xxh3;

use crate::record::Record;

/// Identity of an anomaly: the same however often its event is read again, and another one when a topic was made anew.
///
/// The 128-bit XXH3 hash of topic, partition, offset, record timestamp and payload, as 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AnomalyId(String);

impl AnomalyId {
    /// The identity of the anomaly that `record` is to `use_case`. Two use cases may read one topic, and find the same record
    /// odd: these are two anomalies.
    #[must_use]
    pub fn of(use_case: &str, topic: &str, partition: u32, record: &Record) -> Self {
        let mut hash = Xxh3::new();
        for text in [use_case, topic] {
            // The length keeps text from moving unnoticed from one to the other.
            hash.update(&(text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        }
        hash.update(&partition.to_le_bytes());
        hash.update(&record.offset.to_le_bytes());
        hash.update(&record.timestamp.to_le_bytes());
        hash.update(&record.payload);
        Self(format!("{:032x}", hash.digest128()))
    }

    /// Its text form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AnomalyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How far beyond its threshold an anomaly lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Beyond the threshold.
    Warning,
    /// Well beyond it.
    High,
    /// Far beyond it.
    Critical,
}

impl Severity {
    /// The severity for an excess in `[0, 1]`: how much of the way from the threshold to the highest score to be expected
    /// was covered. From 0.5 on it is high, from 0.75 on critical.
    #[must_use]
    pub fn of_excess(excess: f64) -> Self {
        if excess >= 0.75 {
            Self::Critical
        } else if excess >= 0.5 {
            Self::High
        } else {
            Self::Warning
        }
    }

    /// Its text form, as in JSON and in metric labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// What a detector expected to see.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Expected {
    /// The most likely value.
    pub value: f64,
    /// The lowest value that would not have fired.
    pub low: f64,
    /// The highest value that would not have fired.
    pub high: f64,
}

/// One detector that fired.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DetectorVerdict {
    /// The detector's name: `isolation_forest`, `rolling_zscore`, …
    pub name: String,
    /// The feature it looked at; none for a detector of whole events.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub feature: Option<String>,
    /// Its score, in its own unit.
    pub score: f64,
    /// The score from which it fires.
    pub threshold: f64,
    /// The value that the feature had; a derived one is not in the event.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub value: Option<f64>,
    /// What it expected.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expected: Option<Expected>,
    /// The version of the model that it used.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub model_version: Option<String>,
}

/// An anomaly: one event, with every detector that fired.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Anomaly {
    /// Identity.
    pub id: AnomalyId,
    /// Topic of the event.
    pub topic: String,
    /// Partition of the event.
    pub partition: u32,
    /// Offset of the event.
    pub offset: u64,
    /// The use case that judged it.
    pub use_case: String,
    /// The entity it belongs to.
    pub entity: String,
    /// When it happened, by its own timestamp field.
    pub event_time: Timestamp,
    /// When it was found. The only field that may differ between two runs.
    pub detected_at: Timestamp,
    /// How bad it is.
    pub severity: Severity,
    /// Score of the detector that decided.
    pub score: f64,
    /// Threshold of the detector that decided.
    pub threshold: f64,
    /// Every detector that fired, the deciding one first.
    pub detectors: Vec<DetectorVerdict>,
    /// The values that the model saw, derived ones among them; a missing value is left out.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub features: BTreeMap<String, f64>,
    /// Share of each feature in the model's score; the shares add up to 1.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub contributions: BTreeMap<String, f64>,
    /// The event as it came.
    pub event: Box<RawValue>,
    /// Version of the use case's configuration.
    pub config_version: String,
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::record::Headers;

    fn record(offset: u64, timestamp: i64, payload: &'static str) -> Record {
        Record { offset, timestamp, key: None, payload: Bytes::from(payload), headers: Headers::default() }
    }

    #[test]
    fn the_id_depends_on_every_part_and_on_nothing_else() {
        let base = AnomalyId::of("taxi", "raw_events", 3, &record(7, 1, "{}"));
        assert_eq!(base, AnomalyId::of("taxi", "raw_events", 3, &record(7, 1, "{}")));
        assert_eq!(base.as_str().len(), 32);
        for other in [
            AnomalyId::of("other", "raw_events", 3, &record(7, 1, "{}")),
            AnomalyId::of("taxiraw", "_events", 3, &record(7, 1, "{}")),
            AnomalyId::of("taxi", "raw_event", 3, &record(7, 1, "{}")),
            AnomalyId::of("taxi", "raw_events", 4, &record(7, 1, "{}")),
            AnomalyId::of("taxi", "raw_events", 3, &record(8, 1, "{}")),
            AnomalyId::of("taxi", "raw_events", 3, &record(7, 2, "{}")),
            AnomalyId::of("taxi", "raw_events", 3, &record(7, 1, "{ }")),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn severities_are_ordered() {
        assert_eq!(Severity::of_excess(0.0), Severity::Warning);
        assert_eq!(Severity::of_excess(0.5), Severity::High);
        assert_eq!(Severity::of_excess(1.0), Severity::Critical);
        assert!(Severity::Warning < Severity::Critical);
    }
}
