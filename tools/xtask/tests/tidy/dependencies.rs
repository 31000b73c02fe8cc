//! Who may depend on whom.

use std::fs;

use crate::workspace::{Package, assert_none, packages, rust_files};

/// The layer of each crate. A crate depends on lower layers only, so that nothing below knows who uses it, and no
/// service knows another.
const LAYERS: [(&str, u8); 19] = [
    ("pulse-core", 0),
    ("pulse-detect", 1),
    ("pulse-features", 1),
    ("pulse-forest", 1),
    ("pulse-pipeline", 2),
    ("pulse-runtime", 3),
    ("pulse-scoring", 3),
    ("pulse-kafka", 3),
    ("pulse-store", 3),
    ("pulse-backends", 4),
    ("pulse-anomaly-writer", 5),
    ("pulse-dashboard", 5),
    ("pulse-ml-service", 5),
    ("pulse-simulator", 5),
    ("pulse-stream-processor", 5),
    ("stream-pulse", 6),
    ("pulse-testkit", 7),
    ("pulse-e2e", 8),
    ("xtask", 8),
];

/// Algorithms that know nothing of Stream Pulse: they depend on none of our crates.
const INDEPENDENT: [&str; 2] = ["pulse-detect", "pulse-forest"];

/// Helps tests of every layer, so that it may know the core alone.
const TESTKIT: &str = "pulse-testkit";
/// Those that do nothing but run tests, and the servers that they need.
const RUNNERS: [&str; 2] = ["pulse-e2e", "xtask"];

/// Libraries that only one crate may name, so that they can be replaced there.
const ADAPTERS: [(&str, &str); 3] = [("sqlx", "pulse-store"), ("vrl", "pulse-features"), ("rdkafka", "pulse-kafka")];

fn layer(name: &str) -> Option<u8> {
    LAYERS.iter().find(|(listed, _)| *listed == name).map(|(_, layer)| *layer)
}

#[test]
fn every_crate_has_a_layer() {
    let unknown: Vec<String> = packages().into_iter().map(|p| p.name).filter(|name| layer(name).is_none()).collect();
    assert_none("give these crates a layer in this file", &unknown);
}

#[test]
fn dependencies_point_down() {
    let mut faults = Vec::new();
    for package in packages() {
        for dependency in &package.dependencies {
            if !may_depend(&package.name, &dependency.name, dependency.kind.as_deref()) {
                faults.push(format!("{} → {}", package.name, dependency.name));
            }
        }
    }
    assert_none("these dependencies do not point down", &faults);
}

fn may_depend(from: &str, to: &str, kind: Option<&str>) -> bool {
    let (Some(above), Some(below)) = (layer(from), layer(to)) else { return true };
    match (from, to) {
        (_, TESTKIT) if RUNNERS.contains(&from) => true,
        (_, TESTKIT) => kind == Some("dev"),
        (TESTKIT, _) => to == "pulse-core",
        _ => above > below && !INDEPENDENT.contains(&from),
    }
}

#[test]
fn the_rule_knows_up_from_down() {
    assert!(may_depend("pulse-pipeline", "pulse-forest", None));
    assert!(may_depend("pulse-store", "pulse-testkit", Some("dev")));
    assert!(may_depend("pulse-core", "serde", None));
    for (from, to) in [
        ("pulse-core", "pulse-store"),
        ("pulse-forest", "pulse-core"),
        ("pulse-dashboard", "pulse-simulator"),
        ("pulse-store", "pulse-testkit"),
        ("pulse-testkit", "pulse-store"),
    ] {
        assert!(!may_depend(from, to, None), "{from} → {to}");
    }
}

#[test]
fn only_its_adapter_names_a_library() {
    let mut faults = Vec::new();
    for package in packages() {
        for (library, adapter) in ADAPTERS {
            if package.name != adapter && package.dependencies.iter().any(|dependency| dependency.name == library) {
                faults.push(format!("{} names {library}, which is for {adapter}", package.name));
            }
        }
    }
    assert_none("these libraries are behind an adapter", &faults);
}

#[test]
fn no_dependency_is_unused() {
    let faults: Vec<String> = packages().iter().flat_map(unused).collect();
    assert_none("no source file names these dependencies: remove them", &faults);
}

fn unused(package: &Package) -> Vec<String> {
    let mut files = Vec::new();
    rust_files(package.folder(), &mut files);
    let sources: Vec<String> = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let is_named = |library: &str| sources.iter().any(|source| words(source).any(|word| word == library));
    package
        .dependencies
        .iter()
        .map(|dependency| dependency.rename.as_ref().unwrap_or(&dependency.name).replace('-', "_"))
        .filter(|library| !is_named(library.as_str()))
        .map(|library| format!("{}: {library}", package.name))
        .collect()
}

fn words(source: &str) -> impl Iterator<Item = &str> {
    source.split(|c: char| !(c.is_alphanumeric() || c == '_'))
}
