//! Tests of what a check says.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::use_case_dir::SAMPLE;

fn report(files: &[(&str, &str)]) -> Report {
    let root = TempDir::new().unwrap();
    fs::create_dir(root.path().join("trips")).unwrap();
    for (name, text) in files {
        fs::write(root.path().join("trips").join(name), text).unwrap();
    }
    check(root.path(), "trips")
}

fn faults(files: &[(&str, &str)]) -> Vec<String> {
    report(files).faults.iter().map(ToString::to_string).collect()
}

const SOUND: &str = "\
name: trips
entity: { field: zone }
timestamp: { field: at }
features: [{ name: fare, minimum: 0 }, paid, trip.miles]
rules: [fare >= trip.miles]
kafka: { topic: trips }
";
const SAMPLE_CSV: &str = "at,zone,fare,paid,trip.miles\n1000,a,5,true,1\n2000,a,6,false,2\n";

#[test]
fn a_sound_folder_is_described() {
    let report = report(&[(CONFIG, SOUND), (SAMPLE, SAMPLE_CSV), ("features.vrl", ".per_mile = .fare / 2.0")]);
    assert!(report.faults.is_empty() && report.dir.is_some(), "{:?}", report.faults);
    let outline = report.outline.unwrap();
    let features: Vec<String> = outline.features.iter().map(ToString::to_string).collect();
    assert_eq!(features, ["fare (number)", "paid (boolean, inferred)", "trip.miles (number, inferred)"]);
    let text = outline.to_string();
    for part in
        ["zone", "trips, dead letters in trips.dlq", "per_mile", "fare >= trip.miles", "1 rows to train on, 1 to"]
    {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
}

#[test]
fn faults_of_all_files_and_sections_come_at_once() {
    let config = SOUND
        .replace("minimum: 0", "type: number, minimun: 0")
        .replace("topic: trips", "topic: a b")
        .replace("fare >= trip.miles", "fare >= trip.mile, far + ratio > 1")
        + "detectors: { rolling_zscore: { window: 1, features: [ratio, fars] } }\nmetrics: { prefix: pulse }\n";
    let program = ".ratio = .trip.mils\n";
    let csv = "at,zone,fare,paid,trip.miles\n1000,a,x,true,1\n2000,a,6,maybe\n500,a,6,true,2\n";
    let found = faults(&[(CONFIG, &config), (SAMPLE, csv), ("features.vrl", program)]);
    let expected = [
        "config.yaml:4: features[0].minimun: is no key that is known here: did you mean `minimum`?",
        "config.yaml:5: rules[0]: `fare >= trip.mile`, character 9: `trip.mile` is no numeric column: did you mean `trip.miles`?",
        "config.yaml:5: rules[1]: `far + ratio > 1`, character 1: `far` is no numeric column: did you mean `fare`?",
        "config.yaml:6: kafka.topic: \"a b\"",
        "config.yaml:7: detectors.rolling_zscore.window: 1 must be",
        "config.yaml:7: detectors.rolling_zscore.features[1]: \"fars\" is no numeric column: did you mean \"fare\"?",
        "config.yaml:8: metrics.prefix: \"pulse\" is taken",
        "features.vrl:1: ",
        "sample.csv:2: fare: \"x\" is no number",
        "sample.csv:3: has 4 cells where the header has 5",
        "sample.csv:4: at: \"500\" is earlier",
    ];
    for expected in expected {
        assert!(found.iter().any(|fault| fault.starts_with(expected)), "{expected}\nis not in\n{}", found.join("\n"));
    }
    assert_eq!(found.len(), expected.len(), "{}", found.join("\n"));
}

#[test]
fn every_bad_cell_and_every_refused_row_is_named() {
    let csv = "at,zone,fare,paid,trip.miles\n1000,a,x,true,1\nnoon,a,6,true,2\n900,a,6,true,y\n800,a,6,true,2\n";
    let found = faults(&[
        (CONFIG, &SOUND.replacen("trip.miles]\n", "{ name: trip.miles, type: number }]\n", 1)),
        (SAMPLE, csv),
    ]);
    assert_eq!(
        found,
        [
            "sample.csv:2: fare: \"x\" is no number",
            "sample.csv:3: at: \"noon\" is no instant: write it like 2021-01-04T08:00:00Z",
            "sample.csv:4: at: \"900\" is earlier than the row before: sort the file by time",
            "sample.csv:4: trip.miles: \"y\" is no number",
            "sample.csv:5: at: \"800\" is earlier than the row before: sort the file by time",
        ]
    );
    let rows: String = (0..50).map(|i| format!("{i},a,x,true,2\n")).collect();
    let found = faults(&[(CONFIG, SOUND), (SAMPLE, &format!("at,zone,fare,paid,trip.miles\n{rows}1,2\n"))]);
    assert_eq!((found.len(), found[20].as_str()), (21, "sample.csv: and 31 more cells or rows that cannot be read"));
    let rows: String = (0..30).map(|i| format!("{i},a,{},true,2\n", if i % 2 == 0 { -1 } else { 1 })).collect();
    let found = faults(&[(CONFIG, SOUND), (SAMPLE, &format!("at,zone,fare,paid,trip.miles\n{rows}"))]);
    assert_eq!(found.len(), 21);
    assert!(found[0].starts_with("sample.csv: 30 of 30 rows would be dead letters"), "{}", found[0]);
    assert_eq!(found[1], "sample.csv:2: fare: must be at least 0 (it is -1)");
    assert!(found[2].starts_with("sample.csv:3: rules[0]: is broken: `fare >= trip.miles`"), "{}", found[2]);
}

#[test]
fn a_slip_that_turns_a_column_into_text_is_named() {
    let rows: String = (0..30).map(|i| format!("{i},a,5,true,{}\n", if i == 9 { "-" } else { "2" })).collect();
    let csv = format!("at,zone,fare,paid,trip.miles\n{rows}");
    let found = faults(&[(CONFIG, &SOUND.replace("rules: [fare >= trip.miles]\n", "")), (SAMPLE, &csv)]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("sample.csv:11: trip.miles: \"-\" is no number, while almost all"), "{found:?}");
}

#[test]
fn what_cannot_be_read_is_a_fault() {
    assert!(faults(&[])[0].starts_with("config.yaml: no use case \"trips\" in"));
    assert_eq!(faults(&[(CONFIG, "- a\n")]), ["config.yaml:1: must be keys and values, not a list"]);
    assert!(faults(&[(CONFIG, SOUND), (SAMPLE, "at,zone\n")])[0].contains("has no column \"fare\""));
    assert!(faults(&[(CONFIG, SOUND), (SAMPLE, "at,zone,zone\n")])[0].contains("two columns are called"));
    let values = SOUND.replace("{ name: fare, minimum: 0 }", "fare, { name: code, enum: [A1, b], pattern: '^[A-Z]' }");
    assert_eq!(
        faults(&[(CONFIG, &values)]),
        ["config.yaml:4: features[1]: \"b\" must match \"^[A-Z]\", says its schema: mend the one or the other"]
    );
    let alone = format!("{SOUND}detectors: {{ isolation_forest: {{}} }}\n");
    assert!(faults(&[(CONFIG, &alone)]).is_empty(), "it is trained on the first events");
    assert!(faults(&[(CONFIG, &alone.replace("paid,", "")), (SAMPLE, SAMPLE_CSV)]).is_empty());
    let clash = SOUND.replace("paid,", "trip_miles,");
    assert!(faults(&[(CONFIG, &clash)])[0].contains("would share the metric trips_trip_miles"));
}
