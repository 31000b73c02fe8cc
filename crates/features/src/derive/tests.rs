//! Tests of programs against events.

use pulse_core::use_case::PayloadLimits;

use super::*;
use crate::decode::FieldTree;

fn feature(name: &str, kind: FeatureType, required: bool) -> Feature {
    Feature { name: name.to_owned(), kind, required, ..Feature::default() }
}

fn features() -> Vec<Feature> {
    vec![
        feature("distance", FeatureType::Number, true),
        feature("stops", FeatureType::Integer, false),
        feature("paid", FeatureType::Boolean, false),
        feature("trip.zone", FeatureType::String, false),
    ]
}

fn faults(source: &str) -> Vec<String> {
    Derivation::compile(source, &features(), &["zone.name"]).unwrap_err().iter().map(ToString::to_string).collect()
}

/// The derived columns of the events, one after another by the same deriver.
fn run(source: &str, events: &[&str]) -> Vec<Result<Vec<f64>, String>> {
    let features = features();
    let mut tree = FieldTree::default();
    let places: Vec<usize> = features.iter().map(|feature| tree.add(&feature.name).unwrap()).collect();
    let mut deriver = Deriver::new(Arc::new(Derivation::compile(source, &features, &[]).unwrap()));
    let mut slots = Slots::default();
    let one = |event: &&str| {
        let text = slots.read(&tree, event.as_bytes(), PayloadLimits::default()).unwrap();
        let mut row = Vec::new();
        deriver.derive(&slots, text, &places, &mut row).map(|()| row).map_err(|fault| fault.to_string())
    };
    events.iter().map(one).collect()
}

#[test]
fn results_become_numbers() {
    let source = r#"
        stops = to_int(.stops)
        .half = .distance / 2
        .whole = 7
        .is_paid = .paid == true
        .in_queens = .trip.zone == "Queens"
        .text = "no number"
        .ratio = .distance / stops ?? null
    "#;
    let rows = run(source, &[r#"{"distance":3,"stops":4,"paid":true,"trip":{"zone":"Queens"}}"#]);
    let row = rows[0].as_ref().unwrap();
    assert_eq!(row[..4], [1.5, 7.0, 1.0, 1.0]);
    assert!(row[4].is_nan());
    assert_eq!(row[5], 0.75);
}

#[test]
fn nothing_is_left_over_from_the_event_before() {
    let source = "if exists(.stops) { .seen = .stops; x = 1 }\n.trace = x ?? 0\n.zone = exists(.trip)";
    let source = source.replace(".trace = x ?? 0\n", "");
    let rows = run(&source, &[r#"{"distance":1,"stops":5,"trip":{"zone":"a"}}"#, r#"{"distance":1}"#]);
    assert_eq!(rows[0].as_ref().unwrap(), &[5.0, 1.0]);
    let second = rows[1].as_ref().unwrap();
    assert!(second[0].is_nan(), "{second:?}");
    assert_eq!(second[1], 0.0);
}

#[test]
fn a_runtime_error_is_a_fault_that_names_the_file() {
    let source = ".a = 10.0 / (.distance - 3.0) ?? parse_float!(\"none\")\nif .distance > 5.0 { abort \"too far\" }";
    let rows = run(source, &[r#"{"distance":4}"#, r#"{"distance":3}"#, r#"{"distance":6}"#]);
    assert_eq!(rows[0].as_ref().unwrap(), &[10.0]);
    let failed = rows[1].as_ref().unwrap_err();
    assert!(failed.starts_with("features.vrl failed on it"), "{failed}");
    assert!(rows[2].as_ref().unwrap_err().contains("refused it: too far"));
}

#[test]
fn the_time_zone_is_not_that_of_the_host() {
    assert_ne!(super::compile::utc(), vrl::compiler::TimeZone::Local);
}

#[test]
fn impure_functions_are_refused_with_their_line() {
    for (call, name) in [
        ("now()", "now"),
        ("random_int(0, 5)", "random_int"),
        ("get_env_var!(\"HOME\")", "get_env_var"),
        ("parse_timestamp!(\"1\", \"%s\", timezone: \"local\")", "parse_timestamp"),
    ] {
        let faults = faults(&format!(".half = .distance / 2\n.x = {call}"));
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].starts_with(&format!("features.vrl:2: `{name}` depends on more")), "{faults:?}");
    }
}

#[test]
fn undeclared_and_declared_fields_are_told_apart() {
    assert!(faults(".x = 1\n.y = .distnce")[0].starts_with("features.vrl:2: reads `.distnce`"));
    assert!(faults(".distance = 1")[0].starts_with("features.vrl:1: assigns `.distance`"));
    assert!(faults(".zone = 1")[0].contains("takes the entity or the time from"));
    assert!(faults("\n.a.b = 1")[0].starts_with("features.vrl:2: "));
    assert!(faults(". = {}")[0].contains("assigns `.`"));
    assert!(faults("x = 1")[0].contains("assigns no field"));
    assert!(faults(".x = %secret")[0].contains("no metadata"));
}

#[test]
fn unhandled_errors_and_typing_errors_have_their_line() {
    let faults = faults("# a comment\n.x = .distance / .distance");
    assert!(faults[0].starts_with("features.vrl:2: "), "{faults:?}");
    assert!(self::faults(".x = (")[0].starts_with("features.vrl:"));
}

#[test]
fn reading_the_whole_event_reads_every_feature() {
    let source = ".before = length(keys(.))\n.also = 1\nx = .\n.sum = x.distance + x.also\n.gone = del(.paid)";
    let rows = run(source, &[r#"{"distance":2,"paid":true}"#, r#"{"distance":3,"stops":1}"#]);
    let columns = 4.0;
    assert_eq!(rows[0].as_ref().unwrap(), &[2.0 + columns, 1.0, 3.0, 1.0]);
    assert_eq!(rows[1].as_ref().unwrap()[..3], [2.0 + columns, 1.0, 4.0]);
}
