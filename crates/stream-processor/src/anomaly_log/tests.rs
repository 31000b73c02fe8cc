//! What is shown, what is left out, and how it reads.

use std::io;
use std::sync::{Arc, Mutex};

use pulse_core::Headers;
use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;

use super::*;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// The lines that `act` writes into the log.
fn logged(act: impl FnOnce()) -> Vec<Value> {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt().json().flatten_event(true).with_writer(lines.clone()).finish();
    tracing::subscriber::with_default(subscriber, act);
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn anomaly(detector: &Value) -> Value {
    json!({
        "id": "01c7f0e2", "topic": "raw_events", "partition": 3, "offset": 7, "use_case": "nyc_taxi", "entity": "JFK Airport",
        "event_time": "2026-01-31T00:00:00Z", "detected_at": "2026-01-31T00:00:01Z", "severity": "high", "score": 0.834_56,
        "threshold": 0.62, "detectors": [detector], "features": {"fare": 120.0, "speed": 3.5},
        "contributions": {"fare": 0.29, "speed": 0.71}, "event": {}, "config_version": "1",
    })
}

fn forest() -> Value {
    json!({"name": "isolation_forest", "score": 0.834_56, "threshold": 0.62})
}

fn record(topic: &str, value: &Value) -> NewRecord {
    let payload = serde_json::to_vec(value).unwrap().into();
    NewRecord { topic: topic.into(), partition: None, timestamp: 0, key: None, payload, headers: Headers::default() }
}

#[test]
fn a_line_says_what_and_why() {
    let rolling = json!({
        "name": "rolling_zscore", "feature": "fare", "score": 6.1, "threshold": 3.0, "value": 120.0,
        "expected": {"value": 14.25, "low": 2.125, "high": 26.375},
    });
    let outputs = [
        record("raw_events.dlq", &json!("no anomaly")),
        record(TOPIC_ANOMALIES, &anomaly(&forest())),
        record(TOPIC_ANOMALIES, &anomaly(&rolling)),
    ];
    let lines = logged(|| AnomalyLog::new(10).committed(&outputs));
    assert_eq!(lines.len(), 2, "{lines:?}");
    let shown = ["entity", "severity", "score", "message"].map(|field| lines[0][field].as_str().unwrap());
    assert_eq!(shown, ["JFK Airport", "high", "0.835", "anomaly"]);
    assert_eq!(lines[0]["reason"], "speed is 3.5, 71 % of the isolation_forest score");
    assert_eq!(lines[1]["reason"], "fare is 120, expected 2.125 to 26.375");
}

#[test]
fn what_is_too_much_is_counted() {
    let outputs = vec![record(TOPIC_ANOMALIES, &anomaly(&forest())); 5];
    let lines = logged(|| {
        let mut log = AnomalyLog::new(2);
        log.committed(&outputs);
        log.committed(&outputs[..1]);
        log.turn(Instant::now() + WINDOW);
        log.committed(&outputs[..1]);
    });
    let messages: Vec<&str> = lines.iter().map(|line| line["message"].as_str().unwrap()).collect();
    assert_eq!(messages, ["anomaly", "anomaly", "… and 4 more", "anomaly"]);
}

#[test]
fn a_silent_log_says_nothing() {
    let outputs = [record(TOPIC_ANOMALIES, &anomaly(&forest()))];
    assert!(logged(|| AnomalyLog::new(0).committed(&outputs)).is_empty());
}

#[test]
fn numbers_are_short() {
    assert_eq!([0.0, 15.5, -2.0, 0.123_45, 1e-5, 1e12].map(short), ["0", "15.5", "-2", "0.123", "1.00e-5", "1.00e12"]);
}
