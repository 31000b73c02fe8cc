//! What is accepted, and how faults are reported.

use serde_json::json;

use super::*;

fn check(config: serde_json::Value) -> Result<UseCase, Vec<String>> {
    let raw: RawUseCase = serde_json::from_value(config).map_err(|error| vec![error.to_string()])?;
    UseCase::try_from(raw).map_err(|faults| faults.iter().map(ToString::to_string).collect())
}

#[test]
fn the_smallest_config_gets_defaults() {
    let config = json!({
        "name": "custom_use_case", "features": ["feature_1", "feature_2"],
        "kafka": {"topic": "custom-topic"}, "metrics": {"prefix": "custom"},
    });
    let use_case = check(config).unwrap();
    assert_eq!(use_case.topic, "custom-topic");
    assert_eq!(use_case.features[1].kind, FeatureType::Number);
    assert!(use_case.features[1].required);
    let rolling = use_case.detectors.rolling.unwrap();
    assert_eq!((rolling.window, rolling.min_values, rolling.threshold), (100, 30, 3.0));
    assert_eq!(use_case.detectors.forest.unwrap().trees, 100);
}

#[test]
fn every_fault_is_reported_at_once() {
    let config = json!({
        "name": "9lives", "kafka": {"topic": "a b"}, "metrics": {"prefix": "a-b"},
        "features": ["x", "x", {"name": "y", "type": "float", "minimum": 2, "maximum": 1}],
        "detectors": {"rolling_zscore": {"window": 1, "decides": false}},
        "simulator": {"anomalies": [{"name": "spike", "changes": [{"feature": "z", "divide": [-1, 1]}]}]},
    });
    let faults = check(config).unwrap_err();
    let paths: Vec<&str> = faults.iter().map(|fault| fault.split(": ").next().unwrap()).collect();
    assert_eq!(
        paths,
        [
            "name",
            "features[1]",
            "features[2].type",
            "features[2]",
            "kafka.topic",
            "metrics.prefix",
            "detectors.rolling_zscore.window",
            "detectors",
            "simulator.anomalies[0].changes[0]",
            "simulator.anomalies[0].changes[0]",
        ]
    );
}

#[test]
fn an_unknown_key_is_named() {
    let faults = check(json!({"name": "a", "features": ["x"], "detektors": {}})).unwrap_err();
    assert!(faults[0].contains("detektors"), "{faults:?}");
}

#[test]
fn labels_and_moved_fields_are_told_apart() {
    let change = json!([{"feature": "x", "multiply": 2}]);
    let config = json!({
        "name": "a", "features": ["x"], "timestamp": {"field": "at"},
        "simulator": {
            "also_move": ["begun", "at", "begun"],
            "anomalies": [
                {"name": "spike", "changes": change}, {"name": "spike", "changes": change},
                {"name": "other", "changes": change}, {"name": "genuine_outlier", "changes": change},
            ],
        },
    });
    let faults = check(config).unwrap_err();
    let paths: Vec<&str> = faults.iter().map(|fault| fault.split(": ").next().unwrap()).collect();
    assert_eq!(
        paths,
        [
            "simulator.also_move[1]",
            "simulator.also_move[2]",
            "simulator.anomalies[1].name",
            "simulator.anomalies[2].name",
            "simulator.anomalies[3].name",
        ]
    );
}

#[test]
fn labels_of_metrics_have_names_that_prometheus_takes() {
    let check = |labels: serde_json::Value| {
        let raw = serde_json::json!({"name": "x", "features": ["a"], "metrics": {"labels": labels}});
        UseCase::try_from(serde_json::from_value::<RawUseCase>(raw).unwrap())
    };
    let use_case = check(serde_json::json!({"team": "mobility", "region_1": "eu"})).unwrap();
    assert_eq!(use_case.metrics_labels["team"], "mobility");
    for label in ["severity", "use_case", "a-b", "1", "__name__", ""] {
        let faults = check(serde_json::json!({label: "x"})).unwrap_err();
        assert_eq!(faults[0].path, format!("metrics.labels.{label}"));
    }
}

#[test]
fn topics_that_would_come_back_are_refused() {
    let check = |topic: &str| check(json!({"name": "a", "features": ["x"], "kafka": {"topic": topic}}));
    for topic in ["anomalies", "anomalies.dlq", "pulse.a.state", "pulse.other.state", "__consumer_offsets"] {
        assert!(check(topic).unwrap_err()[0].contains("read another one"), "{topic}");
    }
    for topic in ["raw_events.dlq", "pulse.a", "pulse", "my.state"] {
        assert!(check(topic).is_ok(), "{topic}");
    }
}

#[test]
fn values_obey_the_limits_beside_them() {
    let check = |feature: serde_json::Value| check(json!({"name": "a", "features": ["x", feature]}));
    assert!(check(json!({"name": "b", "enum": ["ab", "äö"], "minLength": 2, "maxLength": 2})).is_ok());
    let faults = check(json!({"name": "b", "enum": ["abc", "a"], "minLength": 2, "maxLength": 2})).unwrap_err();
    assert_eq!(
        faults,
        [
            "features[1]: \"abc\" must have at most 2 characters, says its schema: mend the one or the other",
            "features[1]: \"a\" must have at least 2 characters, says its schema: mend the one or the other",
        ]
    );
    for (minimum, maximum, step) in [(1.0, 2.0, 5.0), (0.1, 0.2, 0.25)] {
        let faults = check(json!({"name": "b", "minimum": minimum, "maximum": maximum, "multipleOf": step}));
        assert!(faults.unwrap_err()[0].starts_with("features[1]: no multiple of "));
    }
    assert!(check(json!({"name": "b", "type": "integer", "minimum": 0.2, "maximum": 0.8})).is_err());
}

fn detectors(detectors: serde_json::Value) -> DetectorSettings {
    let config = json!({
        "name": "a", "features": ["x", "y"], "kafka": {"topic": "a"}, "metrics": {"prefix": "a"}, "detectors": detectors,
    });
    check(config).unwrap().detectors
}

#[test]
fn a_model_is_needed_where_nothing_else_decides() {
    for (settings, needed) in [
        (json!({"isolation_forest": {}}), true),
        (json!({"isolation_forest": {}, "rolling_zscore": {"decides": false}}), true),
        (json!({"isolation_forest": {}, "rolling_zscore": {}}), false),
        (json!({"isolation_forest": {"decides": false}, "rolling_zscore": {}}), false),
        (json!({"rolling_zscore": {}}), false),
    ] {
        assert_eq!(detectors(settings.clone()).need_a_model(), needed, "{settings}");
    }
}

#[test]
fn a_model_sees_the_columns_that_are_named_or_all() {
    let columns = |settings| detectors(json!({"isolation_forest": settings})).forest.unwrap().columns(["x", "y"]);
    assert_eq!(columns(json!({})), ["x", "y"]);
    assert_eq!(columns(json!({"features": ["y"]})), ["y"]);
}
