//! Tests of the schema.

use pulse_core::use_case::raw::RawUseCase;

use super::*;

fn use_case() -> UseCase {
    let raw: RawUseCase = serde_json::from_value(json!({
        "name": "rides", "description": "Rides.",
        "entity": {"field": "zone"}, "timestamp": {"field": "times.start"},
        "features": [
            {"name": "fare", "unit": "USD", "description": "What it cost.", "exclusiveMinimum": 0, "maximum": 500},
            {"name": "trip.stops", "type": "integer", "minimum": 0.5, "maximum": 1.5},
            {"name": "trip.shared", "type": "boolean", "required": false},
            {"name": "driver", "type": "string"},
        ],
    }))
    .unwrap();
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
