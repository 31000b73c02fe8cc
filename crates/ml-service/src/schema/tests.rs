//! Tests of the schema.

use pulse_core::use_case::raw::RawUseCase;

use super::*;

fn use_case() -> UseCase {
    checked(json!({
        "name": "rides", "description": "Rides.",
        "entity": {"field": "zone"}, "timestamp": {"field": "times.start"},
        "features": [
            {"name": "fare", "unit": "USD", "description": "What it cost.", "exclusiveMinimum": 0, "maximum": 500},
            {"name": "trip.stops", "type": "integer", "minimum": 0.5, "maximum": 1.5},
            {"name": "trip.shared", "type": "boolean", "required": false},
            {"name": "driver", "type": "string"},
        ],
    }))
}

fn checked(config: Value) -> UseCase {
    let raw: RawUseCase = serde_json::from_value(config).unwrap();
    UseCase::try_from(raw).unwrap()
}

#[test]
fn it_says_all_that_is_known_of_the_fields() {
    let use_case = use_case();
    let schema = event_schema(&use_case, made_up_event(&use_case));
    let fare = json!({
        "type": "number", "description": "What it cost.", "x-unit": "USD",
        "exclusiveMinimum": 0.0, "maximum": 500.0, "examples": [250.0],
    });
    assert_eq!(schema["properties"]["fare"], fare);
    assert_eq!(schema["required"], json!(["fare", "trip", "driver"]));
    let trip = &schema["properties"]["trip"];
    assert_eq!(trip["required"], json!(["stops"]));
    assert_eq!(trip["properties"]["shared"]["type"], json!(["boolean", "null"]));
    assert_eq!(schema["x-stream-required"], json!(["zone", "times.start"]));
}

#[test]
fn it_is_a_schema_that_its_example_passes() {
    let use_case = use_case();
    let schema = event_schema(&use_case, made_up_event(&use_case));
    assert!(jsonschema::meta::is_valid(&schema));
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    assert!(validator.is_valid(&schema["examples"][0]), "{schema}");
    let wrong = json!({"fare": 0, "trip": {"stops": 1}, "driver": "a"});
    assert!(!validator.is_valid(&wrong));
}

#[test]
fn every_word_and_every_rule_is_in_it() {
    let use_case = checked(json!({
        "name": "rides", "description": "Rides.",
        "features": [
            {"name": "fare", "multipleOf": 0.05, "exclusiveMaximum": 500, "minimum": 1},
            {"name": "trip.kind", "enum": ["short", "long"], "required": false},
            {"name": "trip.plate", "minLength": 2, "maxLength": 8, "pattern": "^[A-Z0-9]+$", "required": false},
            {"name": "paid", "const": true},
        ],
        "rules": ["fare > 1", {"rule": "fare < 400", "message": "nobody pays more"}],
    }));
    let schema = event_schema(&use_case, None);
    assert!(jsonschema::meta::is_valid(&schema) && schema.get("examples").is_none());
    assert_eq!(schema["description"], "Rides.\n\nRule: `fare > 1`.\n\nRule: `fare < 400` (nobody pays more).");
    assert_eq!(schema["x-rules"], json!(["fare > 1", "fare < 400"]));
    let fields = &schema["properties"];
    assert_eq!(fields["fare"]["multipleOf"], 0.05);
    assert_eq!(fields["trip"]["type"], json!(["object", "null"]));
    assert_eq!(fields["trip"]["properties"]["kind"]["enum"], json!(["short", "long", null]));
    assert_eq!(fields["paid"]["enum"], json!([true]));
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    for (event, valid) in [
        (json!({"fare": 10.05, "paid": true}), true),
        (json!({"fare": 10.05, "paid": true, "trip": null}), true),
        (json!({"fare": 10.05, "paid": true, "trip": {"kind": "long", "plate": "AB1"}}), true),
        (json!({"fare": 10.05, "paid": true, "trip": {"kind": "far"}}), false),
        (json!({"fare": 10.05, "paid": true, "trip": {"plate": "ab1"}}), false),
        (json!({"fare": 10.05, "paid": true, "trip": {"plate": "A"}}), false),
        (json!({"fare": 10.05, "paid": true, "trip": "long"}), false),
        (json!({"fare": 10.07, "paid": true}), false),
        (json!({"fare": 10.05, "paid": false}), false),
    ] {
        assert_eq!(validator.is_valid(&event), valid, "{event}");
    }
}

#[test]
fn events_are_made_up_only_where_they_can_be_right() {
    let made_up = |feature: Value| made_up_event(&checked(json!({"name": "a", "features": [feature, "x"]})));
    assert_eq!(made_up(json!({"name": "b", "minimum": 0.5, "maximum": 9, "multipleOf": 4})).unwrap()["b"], 4.0);
    assert_eq!(made_up(json!({"name": "b", "minLength": 6})).unwrap()["b"], "textte");
    assert_eq!(made_up(json!({"name": "b", "maxLength": 2})).unwrap()["b"], "te");
    assert_eq!(made_up(json!({"name": "b", "enum": [7, 8]})).unwrap()["b"], 7.0);
    assert!(made_up(json!({"name": "b", "pattern": "^a"})).is_none());
    let ruled = checked(json!({"name": "a", "features": ["x"], "rules": ["x > 5"]}));
    assert!(made_up_event(&ruled).is_none());
}

#[test]
fn a_field_with_two_roles_is_what_both_say() {
    let use_case = checked(json!({
        "name": "a", "entity": {"field": "who"}, "timestamp": {"field": "at"},
        "features": [{"name": "at", "type": "string", "description": "Begin."}, {"name": "who", "type": "string"}, "x"],
    }));
    let schema = event_schema(&use_case, made_up_event(&use_case));
    let example = json!({"at": "2026-01-31T08:00:00Z", "who": "text", "x": 1.0});
    assert_eq!(schema["examples"][0], example);
    assert_eq!(schema["properties"]["at"]["description"], "Begin.");
    assert_eq!(schema["required"], json!(["at", "who", "x"]));
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    assert!(validator.is_valid(&example));
    for (field, value) in [("who", json!("")), ("who", json!("a\u{7}")), ("who", json!(7)), ("at", json!(7))] {
        let mut event = example.clone();
        event[field] = value;
        assert!(!validator.is_valid(&event), "{event}");
    }
}
