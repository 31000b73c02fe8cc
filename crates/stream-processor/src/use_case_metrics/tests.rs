//! Tests of the use case's own metrics.

use prometheus::TextEncoder;
use pulse_features::{Featurizer, UseCaseDir};
use pulse_pipeline::{ColumnBuckets, Counts, Judged};

use super::*;

const CONFIG: &str = "
name: trips
features:
  - { name: trip.fare, unit: USD, description: What it cost., minimum: 0, maximum: 160 }
  - { name: card, type: boolean }
  - { name: driver, type: string }
metrics: { prefix: taxi, labels: { team: mobility } }
simulator: { anomalies: [ { name: spike, changes: [ { feature: trip.fare, multiply: 9 } ] } ] }
";

fn metrics() -> (Registry, UseCaseMetrics) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("trips")).unwrap();
    std::fs::write(folder.path().join("trips/config.yaml"), CONFIG).unwrap();
    let dir = UseCaseDir::load(folder.path(), "trips").unwrap();
    let featurizer = Featurizer::new(&dir).unwrap();
    let plan = Plan::new(&dir, &featurizer, None).unwrap().counting(ColumnBuckets::of(&dir, &featurizer).unwrap());
    let registry = Registry::new();
    let metrics = UseCaseMetrics::new(&registry, &dir.use_case, &plan).unwrap();
    (registry, metrics)
}

fn text(registry: &Registry) -> String {
    TextEncoder::new().encode_to_string(&registry.gather()).unwrap()
}

fn judged(label: u16, anomaly: bool) -> Judged {
    Judged { timestamp: 0, label, anomaly, strength: 0.0 }
}

#[test]
fn before_the_first_event_counts_are_zero_and_shares_are_absent() {
    let (registry, _metrics) = metrics();
    let text = text(&registry);
    for line in [
        "# HELP taxi_trip_fare What it cost. Unit: USD.",
        "# TYPE taxi_trip_fare histogram",
        r#"taxi_trip_fare_bucket{team="mobility",use_case="trips",le="10"} 0"#,
        r#"taxi_trip_fare_bucket{team="mobility",use_case="trips",le="+Inf"} 0"#,
        r#"taxi_card_count{team="mobility",use_case="trips"} 0"#,
        r#"taxi_events_total{team="mobility",use_case="trips"} 0"#,
        r#"taxi_anomalies_total{team="mobility",use_case="trips",severity="critical"} 0"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in:\n{text}");
    }
    for absent in ["taxi_anomaly_rate", "taxi_precision", "taxi_recall", "driver"] {
        assert!(!text.contains(absent), "{absent} is in:\n{text}");
    }
}

#[test]
fn verdicts_are_measured_against_labels() {
    let (registry, metrics) = metrics();
    let counts = Counts { judged: 8, anomalies: [1, 0, 2], ..Counts::default() };
    // None, a genuine outlier, and the two spikes of which one is found.
    let verdicts = [(0, false), (0, false), (0, false), (0, false), (0, true), (1, true), (2, true), (2, false)];
    let judged = verdicts.map(|(label, anomaly)| judged(label, anomaly)).to_vec();
    metrics.count(&Outcome { counts, judged, ..Outcome::default() }, 0);
    let text = text(&registry);
    let labels = r#"{team="mobility",use_case="trips""#;
    for line in [
        format!("taxi_events_total{labels}}} 8"),
        format!("taxi_anomalies_total{labels},severity=\"critical\"}} 2"),
        format!("taxi_anomaly_rate{labels}}} 0.375"),
        format!("taxi_precision{labels}}} 0.5"),
        format!("taxi_recall{labels}}} 0.5"),
        format!("taxi_recall_by_kind{labels},kind=\"spike\"}} 0.5"),
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in:\n{text}");
    }
}
