//! Anomalies as the taxi use case makes them.

use jiff::{SignedDuration, Timestamp};
use pulse_core::Anomaly;
use serde_json::json;

/// A fixed time for tests that have no live page.
pub(crate) fn noon() -> Timestamp {
    "2026-01-31T12:00:00Z".parse().unwrap()
}

/// What an anomaly of a test is made of.
pub(crate) struct Sketch {
    pub(crate) number: u64,
    pub(crate) entity: &'static str,
    pub(crate) severity: &'static str,
    pub(crate) event_time: Timestamp,
    pub(crate) fare: f64,
}

impl Sketch {
    /// A warning for JFK, `seconds` before `now`.
    pub(crate) fn new(number: u64, now: Timestamp, seconds: i64) -> Self {
        let event_time = now - SignedDuration::from_secs(seconds);
        Self { number, entity: "JFK Airport", severity: "warning", event_time, fare: 186.2 }
    }

    pub(crate) fn entity(self, entity: &'static str) -> Self {
        Self { entity, ..self }
    }

    pub(crate) fn severity(self, severity: &'static str) -> Self {
        Self { severity, ..self }
    }

    /// The record.
    pub(crate) fn anomaly(&self) -> Anomaly {
        let score = match self.severity {
            "critical" => 22.4,
            "high" => 8.9,
            _ => 4.1,
        };
        // With line breaks and a number that no float can hold: an event is shown as it came.
        let event = format!(
            "{{\"trip_id\": 9007199254740993,\n \"fare_amount\": {}, \"trip_distance\": 1.2,\r\n \"pickup\": {{\"zone\": {}}}}}",
            self.fare,
            json!(self.entity),
        );
        let record = json!({
            "id": self.id(), "topic": "raw_events", "partition": 3, "offset": self.number,
            "use_case": "nyc_taxi", "entity": self.entity, "event_time": self.event_time,
            "detected_at": self.event_time + SignedDuration::from_millis(40), "severity": self.severity,
            "score": score, "threshold": 3.0,
            "detectors": [
                {"name": "rolling_zscore", "feature": "fare_amount", "score": score, "threshold": 3.0,
                 "expected": {"value": 14.2, "low": 2.1, "high": 26.3}},
                {"name": "isolation_forest", "score": 0.71, "threshold": 0.62, "model_version": "20260131-1"},
            ],
            "contributions": {"fare_amount": 0.61, "fare_per_mile": 0.27, "trip_distance": 0.12},
            "event": null, "config_version": "4f0c2a9be1d07735",
        });
        let text = record.to_string().replace("\"event\":null", &format!("\"event\":{event}"));
        serde_json::from_str(&text).unwrap()
    }

    /// The id it gets.
    pub(crate) fn id(&self) -> String {
        format!("{:032x}", self.number)
    }
}
