//! Alerts, runbooks and dashboards: they fit each other, and ask for nothing that is not exported.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;

use crate::workspace::{assert_none, root};

/// Begin the names of metrics that no service of ours exports.
const FOREIGN: [&str; 2] = ["process_", "slo:"];

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn names(folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(root().join(folder)).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn dashboards() -> Vec<(String, Value)> {
    let folder = "grafana/dashboards";
    names(folder)
        .into_iter()
        .map(|name| (name.clone(), serde_json::from_str(&read(&format!("{folder}/{name}"))).unwrap()))
        .collect()
}

fn panels(dashboard: &Value) -> Vec<&Value> {
    dashboard["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row").collect()
}

/// The alerts: each with the lines that belong to it.
fn alerts() -> BTreeMap<String, Vec<String>> {
    let mut alerts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut current = None;
    for line in read("prometheus/rules/alerts.yml").lines() {
        if let Some(name) = line.trim().strip_prefix("- alert: ") {
            current = Some(name.to_owned());
        }
        if let Some(name) = &current {
            alerts.entry(name.clone()).or_default().push(line.trim().to_owned());
        }
    }
    alerts
}

#[test]
fn every_alert_says_how_bad_it_is_and_what_to_do() {
    let alerts = alerts();
    let mut faults = Vec::new();
    for (name, lines) in &alerts {
        let count = |start: &str| lines.iter().filter(|line| line.starts_with(start)).count();
        let rules = count("- alert: ");
        for part in ["labels: { severity: ", "summary: ", "description: "] {
            if count(part) != rules {
                faults.push(format!("{name}: each of its rules must have `{part}`"));
            }
        }
        if count(&format!("runbook_url: docs/runbooks/{name}.md")) != rules {
            faults.push(format!("{name}: runbook_url must be docs/runbooks/{name}.md"));
        }
    }
    let runbooks: BTreeSet<String> = names("docs/runbooks").iter().map(|name| name.replace(".md", "")).collect();
    let alerts: BTreeSet<String> = alerts.into_keys().collect();
    faults.extend(alerts.difference(&runbooks).map(|name| format!("docs/runbooks/{name}.md is not there")));
    faults.extend(runbooks.difference(&alerts).map(|name| format!("docs/runbooks/{name}.md belongs to no alert")));
    assert_none("prometheus/rules/alerts.yml", &faults);
}

#[test]
fn every_alert_is_tested_to_fire_and_not_to_fire() {
    let text = read("prometheus/tests/alerts.yml");
    let mut faults = Vec::new();
    for name in alerts().keys() {
        let cases: Vec<&str> = text
            .split("- expr: ")
            .filter(|case| case.contains(&format!("{name}\\\"")) || case.contains(&format!("\"{name}\"")))
            .collect();
        for (what, expected) in [("must fire", "value:"), ("must not fire", "exp_samples: []")] {
            if !cases.iter().any(|case| case.contains(expected)) {
                faults.push(format!("{name}: no case in which it {what}"));
            }
        }
    }
    assert_none("prometheus/tests/alerts.yml", &faults);
}

#[test]
fn what_is_asked_for_is_exported() {
    let documented: BTreeSet<String> = read("docs/specs/telemetry.md")
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(name, _)| name.to_owned()))
        .collect();
    let recorded = read("prometheus/rules/recording.yml");
    let recorded: BTreeSet<&str> = recorded.lines().filter_map(|line| line.trim().strip_prefix("- record: ")).collect();
    let mut asking = vec![
        ("alerts".to_owned(), read("prometheus/rules/alerts.yml")),
        ("records".to_owned(), read("prometheus/rules/recording.yml")),
    ];
    for (name, dashboard) in dashboards() {
        let queries = panels(&dashboard).into_iter().flat_map(|panel| panel["targets"].as_array().unwrap().clone());
        asking.extend(queries.filter_map(|query| Some((name.clone(), query["expr"].as_str()?.to_owned()))));
    }
    let mut faults = Vec::new();
    for (place, text) in asking {
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
        for word in text
            .split(|c| !is_name(c))
            .filter(|word| word.contains("pulse_") || FOREIGN.iter().any(|start| word.starts_with(start)))
        {
            let base =
                ["_bucket", "_sum", "_count"].iter().find_map(|suffix| word.strip_suffix(suffix)).unwrap_or(word);
            if !recorded.contains(word) && !documented.contains(word) && !documented.contains(base) {
                faults.push(format!("{place}: nobody exports {word}"));
            }
        }
    }
    faults.sort();
    faults.dedup();
    assert_none("alerts and dashboards ask for", &faults);
}

#[test]
fn every_panel_says_what_it_shows_and_in_which_unit() {
    let mut faults = Vec::new();
    let mut uids = BTreeSet::new();
    for (name, dashboard) in dashboards() {
        if !uids.insert(dashboard["uid"].as_str().unwrap().to_owned()) {
            faults.push(format!("{name}: its uid is another one's"));
        }
        let mut ids = BTreeSet::new();
        for panel in panels(&dashboard) {
            let title = panel["title"].as_str().unwrap_or_default();
            if title.is_empty() || panel["description"].as_str().is_none_or(str::is_empty) {
                faults.push(format!("{name}: panel {title:?} lacks its title or its description"));
            }
            if !ids.insert(panel["id"].as_u64()) {
                faults.push(format!("{name}: panel {title:?} has the id of another one"));
            }
            let defaults = &panel["fieldConfig"]["defaults"];
            if !defaults["unit"].is_string() || !defaults["thresholds"].is_object() {
                faults.push(format!("{name}: panel {title:?} lacks a unit or thresholds"));
            }
            let sources =
                panel["targets"].as_array().unwrap().iter().map(|target| target["datasource"]["uid"].as_str());
            if sources.clone().count() == 0 || !sources.flatten().all(|uid| ["prometheus", "postgres"].contains(&uid)) {
                faults.push(format!("{name}: panel {title:?} asks nobody, or somebody unknown"));
            }
        }
    }
    assert!(dashboards().iter().any(|(name, dashboard)| name == "overview.json" && panels(dashboard).len() >= 20));
    assert_none("grafana/dashboards", &faults);
}

#[test]
fn production_has_the_data_sources_of_the_usual_stack() {
    let but_the_password = |path: &str| -> Vec<String> {
        let text = read(path);
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().starts_with("password: "));
        lines.map(str::to_owned).collect()
    };
    let usual = but_the_password("grafana/provisioning/datasources/datasources.yml");
    assert_eq!(but_the_password("production/grafana-datasources.yml"), usual);
    assert!(usual.len() > 10, "{usual:?}");
}
