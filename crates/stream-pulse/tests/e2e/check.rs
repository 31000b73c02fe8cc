//! `check`, as a person calls it.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::process::usecases;

fn check(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stream-pulse"));
    command.arg("check").arg("--usecases").arg(folder).args(args).env_remove("USE_CASE").env_remove("PULSE_CONFIG");
    command.output().unwrap()
}

#[test]
fn the_shipped_use_cases_have_no_faults() {
    let output = check(&usecases(), &[]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    for part in
        ["nyc_taxi: no faults", "entity     pickup_zone", "topic      raw_events, dead letters in raw_events.dlq"]
    {
        assert!(said.contains(part), "no {part:?} in:\n{said}");
    }
}

#[test]
fn faults_are_told_for_people_and_for_machines() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("pumps");
    std::fs::create_dir(&place).unwrap();
    let config = "name: pumps\nfeatures:\n  - { name: load, minimun: 0, maximum: 1 }\nrules: [lod < 1]\n";
    std::fs::write(place.join("config.yaml"), config).unwrap();
    let output = check(folder.path(), &[]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let wanted = format!("{}/config.yaml:3: features[0].minimun: ", place.display());
    assert!(said.starts_with("pumps: 2 faults\n") && said.contains(&wanted), "{said}");

    let output = check(folder.path(), &["pumps", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["faults"], 2);
    let fault = &report["use_cases"][0]["faults"][1];
    assert_eq!(
        (&fault["file"], &fault["line"], &fault["path"]),
        (&"config.yaml".into(), &4.into(), &"rules[0]".into())
    );
    assert!(fault["message"].as_str().unwrap().contains("did you mean `load`?"), "{fault}");
}

#[test]
fn anomalies_that_no_event_may_be_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("pumps");
    std::fs::create_dir(&place).unwrap();
    let config = "name: pumps\nfeatures: [load]\nrules: [load <= 1]\nsimulator:\n  anomalies:\n    \
                  - { name: surge, changes: [{ feature: load, set: 5 }] }\n";
    std::fs::write(place.join("config.yaml"), config).unwrap();
    std::fs::write(place.join("sample.csv"), format!("load\n{}", "0.5\n".repeat(200))).unwrap();
    let output = check(folder.path(), &["pumps"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let wanted =
        "simulator.anomalies: makes an anomaly \"surge\" that would be a dead letter: rules[0] is broken: `load <= 1`";
    assert!(said.contains(wanted), "{said}");
}

#[test]
fn a_folder_without_use_cases_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let output = check(folder.path(), &[]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("there is no use case in"), "{said}");
    let output = check(folder.path(), &["pumps"]);
    assert!(String::from_utf8(output.stdout).unwrap().contains("no use case \"pumps\""));
}
