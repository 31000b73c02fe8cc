//! Tests of reading samples.

use std::fs;

use serde_json::json;
use tempfile::TempDir;

use crate::UseCaseDir;

use super::*;

const CONFIG: &str = "\
name: trips
timestamp: { field: at }
features:
  - { name: distance, type: number }
  - { name: trip.stops, type: integer, required: false }
simulator: { train_fraction: 0.4, genuine_outlier_column: odd }
";

fn sample(config: &str, csv: &str) -> Result<Sample, String> {
    let root = TempDir::new().unwrap();
    fs::create_dir(root.path().join("trips")).unwrap();
    fs::write(root.path().join("trips/config.yaml"), config).unwrap();
    fs::write(root.path().join("trips/sample.csv"), csv).unwrap();
    let dir = UseCaseDir::load(root.path(), "trips").map_err(|error| error.to_string())?;
    dir.sample()
        .map(Option::unwrap)
        .map_err(|error| error.to_string().replace(&root.path().join("trips/").display().to_string(), ""))
}

#[test]
fn rows_are_typed_nested_and_split() {
    let csv = "at,distance,trip.stops,trip.zone,id,odd\n\
        2021-01-04T08:00:00Z,1.5,,Queens,007,\n\
        2021-01-04T08:00:01Z,2,3,\"Bronx, NY\",008,1\n\
        2021-01-04T08:00:01Z,3,4,,009,0\n";
    let sample = sample(CONFIG, csv).unwrap();
    assert_eq!((sample.training().len(), sample.replay().len()), (1, 2));
    let events: Vec<Value> =
        [sample.training(), sample.replay()].concat().into_iter().map(|row| Value::Object(row.event)).collect();
    assert_eq!(
        events[0],
        json!({"at": "2021-01-04T08:00:00Z", "distance": 1.5, "trip": {"zone": "Queens"}, "id": "007"})
    );
    assert_eq!(events[1]["trip"], json!({"stops": 3, "zone": "Bronx, NY"}));
    assert_eq!(events[2]["trip"], json!({"stops": 4}));
    let genuine: Vec<bool> = sample.replay().iter().map(|row| row.genuine_outlier).collect();
    assert_eq!(genuine, [true, false]);
}

#[test]
fn the_fingerprint_depends_on_file_and_split() {
    let csv = "at,distance,odd\n1609747200000,1,\n1609747200001,2,\n1609747200002,3,\n";
    let one = sample(CONFIG, csv).unwrap().fingerprint();
    assert_eq!(one, sample(CONFIG, csv).unwrap().fingerprint());
    assert_ne!(one, sample(CONFIG, &csv.replace(",3,", ",4,")).unwrap().fingerprint());
    assert_ne!(one, sample(&CONFIG.replace("0.4", "0.7"), csv).unwrap().fingerprint());
}

#[test]
fn faults_name_line_and_column() {
    let head = "at,distance,trip.stops,odd\n2021-01-04T08:00:00Z,1,1,\n";
    for (csv, expected) in [
        (format!("{head}2021-01-04T08:00:00Z,far,1,\n"), "sample.csv:3: column \"distance\": \"far\" is no number"),
        (
            format!("{head}2021-01-04T08:00:00Z,1,1.5,\n"),
            "sample.csv:3: column \"trip.stops\": \"1.5\" is no whole number",
        ),
        (format!("{head}yesterday,1,1,\n"), "sample.csv:3: column \"at\": \"yesterday\" is no instant"),
        (format!("{head}2021-01-04T07:00:00Z,1,1,\n"), "is earlier than the row before"),
        (format!("{head}2021-01-04T08:00:00Z,1\n"), "sample.csv is no well-formed CSV file"),
        (head.to_owned(), "sample.csv has 1 rows"),
        ("at,distance\n".to_owned(), "sample.csv:1: has no column \"odd\""),
        ("at,distance,odd,odd\n".to_owned(), "two columns are called \"odd\""),
        ("at,distance,odd,odd.b\n".to_owned(), "column \"odd.b\" lies within column \"odd\""),
        ("at,distance,odd,\n".to_owned(), "column 4 has the name \"\""),
    ] {
        let error = sample(CONFIG, &csv).unwrap_err();
        assert!(error.contains(expected), "{error}\n{expected}");
    }
}
