//! Whole runs and their summaries.

use std::collections::HashSet;

use serde_json::Value;

use crate::process::{Up, up};
use crate::stored;

#[tokio::test(flavor = "multi_thread")]
async fn one_command_finds_anomalies_in_taxi_trips() {
    let data = tempfile::tempdir().unwrap();
    let summary = Up::start(&mut up(data.path(), &["--events", "30000", "--rate", "max", "--json"])).summary();
    let number = |key: &str| summary[key].as_f64().unwrap_or_else(|| panic!("{key} in {summary}"));
    assert_eq!(summary["events"], 30_000);
    assert_eq!(summary["dead_letters"], 0);
    for key in ["seconds", "events_per_second", "latency_p50_ms", "latency_p99_ms"] {
        assert!(number(key) > 0.0, "{key} in {summary}");
    }
    assert_eq!(summary["anomalies"], summary["stored"]);
    // The same events in every run, so that the margin is for a change of mind, not for luck; README.md has the figures.
    assert!(number("recall") > 0.9, "{summary}");
    assert!(number("precision") > 0.7, "{summary}");
    assert!(number("average_precision") > 0.8, "{summary}");
    let kinds = summary["quality"]["kinds"].as_object().unwrap();
    assert_eq!(kinds.len(), 6, "{summary}");
    for (kind, quality) in kinds {
        assert!(quality["recall"].as_f64() > Some(0.7), "{kind} in {summary}");
    }

    let anomalies = stored::anomalies(data.path()).await;
    assert_eq!(anomalies.len() as u64, summary["anomalies"]);
    let explained = anomalies.iter().filter(|anomaly| {
        let detectors = anomaly["detectors"].as_array().unwrap();
        detectors.iter().any(|detector| detector["name"] == "rolling_zscore" && detector["expected"].is_object())
    });
    assert!(explained.count() * 2 > anomalies.len(), "most come with an expected range");
    for anomaly in &anomalies {
        let shares: f64 = anomaly["contributions"].as_object().unwrap().values().filter_map(Value::as_f64).sum();
        assert!((shares - 1.0).abs() < 1e-6, "{anomaly}");
        assert!(anomaly["score"].as_f64() >= anomaly["threshold"].as_f64(), "{anomaly}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_by_a_signal_it_goes_on_later() {
    let data = tempfile::tempdir().unwrap();
    let mut first = Up::start(&mut up(data.path(), &["--rate", "2000", "--json"]));
    first.wait_for("is running");
    while stored::count(data.path()).await < 10 {
        first.still_runs();
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    first.signal("TERM");
    let first = first.summary();
    assert_eq!(first["anomalies"], first["stored"], "what was found before the stop is stored: {first}");
    assert_eq!(stored::produced(data.path()).await, first["events"], "what was produced is judged");

    let second = Up::start(&mut up(data.path(), &["--events", "3000", "--rate", "max", "--json"])).summary();
    assert_eq!(second["events"], 3000, "nothing is judged twice");
    let total = first["events"].as_u64().unwrap() + 3000;
    assert_eq!(stored::produced(data.path()).await, total, "the simulator goes on where it stopped");
    let anomalies = stored::anomalies(data.path()).await;
    let ids: HashSet<&str> = anomalies.iter().map(|anomaly| anomaly["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len() as u64, first["anomalies"].as_u64().unwrap() + second["anomalies"].as_u64().unwrap());
}

#[test]
fn a_time_limit_ends_a_run() {
    let data = tempfile::tempdir().unwrap();
    let summary = Up::start(&mut up(data.path(), &["--for", "2s", "--rate", "500", "--json"])).summary();
    // On a busy machine the simulator may still have been reading its sample.
    assert!(summary["events"].as_u64() <= Some(1500), "{summary}");
}
