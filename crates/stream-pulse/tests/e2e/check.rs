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

/// What a check of the use case `pumps` with these files says, and its exit status.
fn check_pumps(config: &str, sample: Option<&str>) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("pumps");
    std::fs::create_dir(&place).unwrap();
    std::fs::write(place.join("config.yaml"), format!("name: pumps\n{config}")).unwrap();
    if let Some(sample) = sample {
        std::fs::write(place.join("sample.csv"), sample).unwrap();
    }
    let output = check(folder.path(), &["pumps"]);
    let said = String::from_utf8(output.stdout).unwrap();
    (output.status.code(), said.replace(&format!("{}/", place.display()), ""))
}

#[test]
fn anomalies_that_no_event_may_be_are_told() {
    let config = "features: [load]\nrules: [load <= 1]\nsimulator:\n  anomalies:\n    \
                  - { name: surge, changes: [{ feature: load, set: 5 }] }\n";
    let (code, said) = check_pumps(config, Some(&format!("load\n{}", "0.5\n".repeat(200))));
    let wanted = "config.yaml:6: simulator.anomalies[0]: makes an anomaly \"surge\" that would be a dead letter: \
                  rules[0] is broken: `load <= 1`";
    assert!(code == Some(1) && said.contains(wanted) && said.contains("or widen the schema"), "{said}");
}

#[test]
fn events_of_a_profile_that_nobody_wrote_are_no_fault() {
    let (code, said) = check_pumps("features: [price, total]\nrules: [total >= price]\n", None);
    assert!(code == Some(0) && said.starts_with("pumps: no faults\n"), "{said}");
    let notes: Vec<&str> = said.lines().filter(|line| line.starts_with("  note ")).collect();
    let wanted = "  note       config.yaml:3: rules[0]: simulated events would be dead letters, as they are made up";
    assert!(notes.len() == 1 && notes[0].starts_with(wanted), "{said}");
    let (code, said) = check_pumps("features: [load, { name: code, pattern: '^[0-9]+$' }]\n", None);
    assert!(code == Some(0) && said.contains("config.yaml:2: features[1]: simulated events"), "{said}");
    let config =
        "timestamp: { field: at }\nfeatures: [load, { name: at, type: number }, { name: unit, maxLength: 1 }]\n";
    let (code, said) = check_pumps(config, None);
    assert!(code == Some(0) && !said.contains("note"), "{said}");
}

#[test]
fn events_of_a_written_profile_are() {
    let config = "features: [price, total]\nrules: [total >= price]\nsimulator:\n  profile:\n    features: {}\n";
    let (code, said) = check_pumps(config, None);
    assert!(code == Some(1) && said.starts_with("pumps: 1 fault\n"), "{said}");
    let wanted = "config.yaml:5: simulator.profile: makes an ordinary event that would be a dead letter: rules[0]";
    assert!(said.contains(wanted), "{said}");
}

#[test]
fn rows_that_are_too_few_to_change_are_told() {
    let config = |range: &str| {
        format!(
            "features: [load]\nsimulator:\n  eligible: [{{ feature: load, {range} }}]\n  anomalies:\n    \
             - {{ name: surge, changes: [{{ feature: load, add: 5 }}] }}\n"
        )
    };
    let sample = format!("load\n{}9\n", "0.5\n".repeat(999));
    let (code, said) = check_pumps(&config("minimum: 9"), Some(&sample));
    let wanted = "config.yaml:4: simulator.eligible: allows 0.0020 of the rows to be changed, and 0.01 of all events";
    assert!(code == Some(1) && said.contains(wanted), "{said}");
    let (code, said) = check_pumps(&config("minimum: 0"), Some(&sample));
    assert!(code == Some(0), "{said}");
    let (code, said) = check_pumps(&config("minimum: 10, maximum: 5"), Some(&sample));
    let wanted = "config.yaml:4: simulator.eligible[0]: no value lies between 10 and 5";
    assert!(code == Some(1) && said.contains(wanted), "{said}");
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
