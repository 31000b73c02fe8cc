//! Tests of loading folders.

use std::fs;

use tempfile::TempDir;

use super::*;

const CONFIG_YAML: &str = "\
name: trips
entity: { field: zone }
timestamp: { field: at }
features:
  - { name: distance, minimum: 0 }
  - { name: trip.stops, type: integer, required: false }
kafka: { topic: trips }
";

fn folder(files: &[(&str, &str)]) -> TempDir {
    let root = TempDir::new().unwrap();
    fs::create_dir(root.path().join("trips")).unwrap();
    for (name, text) in files {
        fs::write(root.path().join("trips").join(name), text).unwrap();
    }
    root
}

fn faults(files: &[(&str, &str)]) -> Vec<String> {
    match UseCaseDir::load(folder(files).path(), "trips").unwrap_err() {
        UseCaseError::Invalid { faults, .. } => faults.iter().map(ToString::to_string).collect(),
        other => panic!("{other}"),
    }
}

#[test]
fn a_folder_without_faults_loads() {
    let root = folder(&[(CONFIG, CONFIG_YAML), ("features.vrl", ".half = .distance / 2")]);
    let dir = UseCaseDir::load(root.path(), "trips").unwrap();
    assert_eq!(dir.use_case.topic, "trips");
    assert_eq!(dir.config_version.len(), 16);
    assert!(dir.sample().unwrap().is_none());
}

#[test]
fn the_version_depends_on_both_files() {
    let version = |files: &[(&str, &str)]| UseCaseDir::load(folder(files).path(), "trips").unwrap().config_version;
    let plain = version(&[(CONFIG, CONFIG_YAML)]);
    assert_eq!(plain, version(&[(CONFIG, CONFIG_YAML)]));
    assert_ne!(plain, version(&[(CONFIG, &format!("{CONFIG_YAML}\n"))]));
    assert_ne!(plain, version(&[(CONFIG, CONFIG_YAML), ("features.vrl", ".half = .distance / 2")]));
}

#[test]
fn a_missing_folder_lists_those_that_exist() {
    let root = folder(&[(CONFIG, CONFIG_YAML)]);
    for name in ["taxis", "../trips", "", ".", "trips/../trips"] {
        let error = UseCaseDir::load(root.path(), name).unwrap_err();
        assert!(error.to_string().ends_with(": there are trips"), "{name}: {error}");
    }
    let error = UseCaseDir::load(&root.path().join("nowhere"), "trips").unwrap_err();
    assert!(error.to_string().ends_with("there is none there"), "{error}");
}

#[test]
fn yaml_that_does_not_parse_has_its_line() {
    let found = faults(&[(CONFIG, "name: trips\nfeatures: [a\n")]);
    assert!(found.len() == 1 && found[0].starts_with("config.yaml:"), "{found:?}");
    let found = faults(&[(CONFIG, "name: trips\nfeatures: [a]\ndetektors: {}\n")]);
    assert!(found[0].starts_with("config.yaml:3: ") && found[0].contains("detektors"), "{found:?}");
    let found = faults(&[(CONFIG, "name: trips\nfeatures:\n  - name: a\n    minimun: 3\n")]);
    assert!(found[0].contains("minimun"), "{found:?}");
}

#[test]
fn all_faults_come_at_once_with_their_lines() {
    let config = CONFIG_YAML.replace("minimum: 0", "minimum: 2, maximum: 1").replace("topic: trips", "topic: a b");
    let found = faults(&[(CONFIG, &config)]);
    assert!(found[0].starts_with("config.yaml:5: features[0]: "), "{found:?}");
    assert!(found[1].starts_with("config.yaml:7: kafka.topic: "), "{found:?}");

    let config = format!(
        "{}detectors:\n  rolling_zscore:\n    features: [half, third]\n",
        CONFIG_YAML.replacen("trips", "trip", 1)
    );
    let found = faults(&[(CONFIG, &config), ("features.vrl", ".half = .distance / 2")]);
    assert!(found[0].starts_with("config.yaml:1: name: "), "{found:?}");
    assert!(found[1].starts_with("config.yaml:10: detectors.rolling_zscore.features[1]: \"third\""), "{found:?}");

    let found = faults(&[(CONFIG, CONFIG_YAML), ("features.vrl", ".a = now()\n.b = .distnce\n")]);
    assert!(found[0].starts_with("features.vrl:1: `now`"), "{found:?}");
}

#[test]
fn a_field_within_a_field_is_a_fault() {
    let found = faults(&[(CONFIG, &CONFIG_YAML.replace("field: zone", "field: trip"))]);
    assert!(found[0].starts_with("config.yaml:2: entity.field: \"trip.stops\" lies within \"trip\""), "{found:?}");
}

#[test]
fn types_left_out_come_from_the_sample() {
    let features = [
        ("plain", "number", ["1.5", "2e3"]),
        ("whole", "number", ["1", "2"]),
        ("paid", "boolean", ["true", ""]),
        ("Paid", "string", ["True", "false"]),
        ("zone", "string", ["Queens", "7"]),
        ("code", "string", ["007", "008"]),
        ("odd", "string", ["NaN", "1"]),
        ("spaced", "number", [" 1", "2"]),
        ("none", "number", ["", ""]),
        ("trip.fare", "number", ["1", "-0.5"]),
        ("trip.kind", "string", ["a", "b"]),
    ];
    let names: Vec<&str> = features.iter().map(|(name, ..)| *name).collect();
    let row = |i: usize| features.iter().map(|(.., cells)| cells[i]).collect::<Vec<_>>().join(",");
    let config = format!("name: trips\nfeatures: [{}, absent]\n", names.join(", "));
    let sample = format!("{}\n{}\n{}\n", names.join(","), row(0), row(1));
    let root = folder(&[(CONFIG, &config), (SAMPLE, &sample)]);
    let found = UseCaseDir::load(root.path(), "trips").unwrap().use_case.features;
    for ((name, kind, _), feature) in features.iter().zip(&found) {
        assert_eq!((feature.name.as_str(), feature.kind.as_str()), (*name, *kind));
    }
    assert_eq!((found[11].name.as_str(), found[11].kind.as_str()), ("absent", "number"));
}

#[test]
fn words_that_state_a_type_outweigh_the_sample() {
    let config = "name: trips\nfeatures: [{ name: zip, enum: ['1', '2'] }, { name: size, minimum: 0 }, x]\n";
    let sample = "zip,size,x\n1,big,3\n2,small,4\n";
    let root = folder(&[(CONFIG, config), (SAMPLE, sample)]);
    let dir = UseCaseDir::load(root.path(), "trips").unwrap();
    let kinds: Vec<&str> = dir.use_case.features.iter().map(|feature| feature.kind.as_str()).collect();
    assert_eq!(kinds, ["string", "number", "number"]);
    assert!(dir.sample().unwrap_err().to_string().contains("column \"size\": \"big\" is no number"));
}

#[test]
fn words_that_no_value_can_obey_are_faults() {
    for (feature, path, message) in [
        ("{ name: a, minimum: 1, exclusiveMaximum: 1 }", "features[0]", "no value can lie between"),
        ("{ name: a, multipleOf: 0 }", "features[0].multipleOf", "0 must be above 0"),
        ("{ name: a, enum: [] }", "features[0].enum", "is empty"),
        ("{ name: a, enum: [1], const: 2 }", "features[0]", "exclude each other"),
        ("{ name: a, type: integer, enum: [1.5] }", "features[0]", "1.5 is not an integer"),
        ("{ name: a, enum: [1, b] }", "features[0]", "\"b\" is not a number"),
        ("{ name: a, minimum: 5, enum: [4] }", "features[0]", "4 must be at least 5"),
        ("{ name: a, type: string, minimum: 5 }", "features[0]", "a string has no limits of numbers"),
        ("{ name: a, type: number, pattern: a }", "features[0]", "a number has no `minLength`"),
        ("{ name: a, minLength: 5, maxLength: 4 }", "features[0]", "no text can have"),
        ("{ name: a, pattern: '(' }", "features[0].pattern", "\"(\" is no regular expression: unclosed group"),
        ("{ name: a, format: date }", "features[0].format", "is no key that is known here: there are name"),
        ("{ name: a..b }", "features[0]", "\"a..b\" is no field"),
    ] {
        let found = faults(&[(CONFIG, &format!("name: trips\nfeatures: [{feature}, x]\n"))]);
        let start = format!("config.yaml:2: {path}: ");
        assert!(found.len() == 1 && found[0].starts_with(&start) && found[0].contains(message), "{feature}: {found:?}");
    }
}
