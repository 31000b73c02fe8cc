//! JSON Schema (draft 2020-12) of a use case's events, with an example.

mod made_up;

use pulse_core::UseCase;
use pulse_core::use_case::{Bounds, Constant, Entity, Feature, TextLimits};
use serde_json::{Map, Value, json};

pub(crate) use made_up::event as made_up_event;

/// The schema of the events of `use_case`, as `/predict` takes them: entity and time may be missing there.
///
/// `x-unit` gives a field's unit, `x-stream-required` the fields that events of a stream must have besides.
pub(crate) fn event_schema(use_case: &UseCase, example: Option<Map<String, Value>>) -> Value {
    let mut root = object();
    let given = example.unwrap_or_default();
    for feature in &use_case.features {
        let schema = feature_schema(feature, value_at(&given, &feature.name));
        insert(&mut root, &feature.name, schema, feature.required);
    }
    let mut stream_required = Vec::new();
    if let Entity::Field(field) = &use_case.entity {
        stream_required.push(field.clone());
        let description = "The entity that the event belongs to, in 256 bytes of UTF-8 at the most.";
        add_role(
            &mut root,
            use_case,
            field,
            &given,
            json!({
                "type": ["string", "number", "null"], "description": description,
                "minLength": 1, "maxLength": 256, "pattern": NO_CONTROL_CHARACTERS,
            }),
        );
    }
    if let Some(field) = &use_case.timestamp.field {
        stream_required.push(field.clone());
        let description = "When it happened: RFC 3339, or milliseconds since 1970-01-01T00:00:00Z.";
        add_role(
            &mut root,
            use_case,
            field,
            &given,
            json!({
                "description": description,
                "anyOf": [
                    {"type": "string", "format": "date-time"},
                    {"type": "number", "minimum": EARLIEST, "maximum": LATEST},
                    {"type": "null"},
                ],
            }),
        );
    }
    root.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    root.insert("title".to_owned(), json!(use_case.name));
    root.insert("description".to_owned(), json!(description(use_case)));
    root.insert("x-rules".to_owned(), json!(use_case.rules.iter().map(|rule| &rule.text).collect::<Vec<_>>()));
    root.insert("x-stream-required".to_owned(), json!(stream_required));
    root.insert("$defs".to_owned(), json!({"Anything": anything(ANYTHING)}));
    if !given.is_empty() {
        root.insert("examples".to_owned(), json!([given]));
    }
    Value::Object(root)
}

/// Where the schema of what no feature is has its place.
pub(crate) const ANYTHING: &str = "#/$defs/Anything";

/// Events become text in a database, which cannot have this character.
const NO_NUL: &str = "^[^\\u0000]*$";

/// The schema, which stands at `itself`, of what no feature is.
pub(crate) fn anything(itself: &str) -> Value {
    let itself = json!({"$ref": itself});
    json!({"pattern": NO_NUL, "propertyNames": {"pattern": NO_NUL}, "items": itself, "additionalProperties": itself})
}

/// Entities become keys, labels and text in a database.
const NO_CONTROL_CHARACTERS: &str = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$";

/// Milliseconds of the first and the last time that an event may have: the year 1, and the last that a timestamp can be.
const EARLIEST: i64 = -62_135_596_800_000;
const LATEST: i64 = 253_402_207_200_999;

/// What the use case is about, and what JSON Schema has no words for.
fn description(use_case: &UseCase) -> String {
    let mut text = use_case.description.clone();
    for rule in &use_case.rules {
        let because = rule.message.as_ref().map_or_else(String::new, |message| format!(" ({message})"));
        let paragraph = if text.is_empty() { "" } else { "\n\n" };
        text.push_str(&format!("{paragraph}Rule: `{}`{because}.", rule.text));
    }
    text
}

fn feature_schema(feature: &Feature, example: Option<&Value>) -> Value {
    let mut schema = Map::new();
    let kind = feature.kind.as_str();
    // Null says the same as nothing, which only optional fields may say.
    schema.insert("type".to_owned(), if feature.required { json!(kind) } else { json!([kind, "null"]) });
    if !feature.description.is_empty() {
        schema.insert("description".to_owned(), json!(feature.description));
    }
    if let Some(unit) = &feature.unit {
        schema.insert("x-unit".to_owned(), json!(unit));
    }
    limits(&mut schema, feature);
    if let Some(allowed) = &feature.allowed {
        let null = (!feature.required).then_some(Value::Null);
        let values: Vec<Value> = allowed.iter().map(constant).chain(null).collect();
        schema.insert("enum".to_owned(), Value::Array(values));
    }
    if let Some(example) = example {
        schema.insert("examples".to_owned(), json!([example]));
    }
    Value::Object(schema)
}

fn limits(schema: &mut Map<String, Value>, feature: &Feature) {
    let Bounds { minimum, exclusive_minimum, maximum, exclusive_maximum, multiple_of } = feature.bounds;
    let TextLimits { min_length, max_length, pattern } = &feature.text;
    let words = [
        ("minimum", minimum.map(Value::from)),
        ("exclusiveMinimum", exclusive_minimum.map(Value::from)),
        ("maximum", maximum.map(Value::from)),
        ("exclusiveMaximum", exclusive_maximum.map(Value::from)),
        ("multipleOf", multiple_of.map(Value::from)),
        ("minLength", min_length.map(Value::from)),
        ("maxLength", max_length.map(Value::from)),
        ("pattern", pattern.as_deref().map(Value::from)),
    ];
    schema.extend(words.into_iter().filter_map(|(word, value)| Some((word.to_owned(), value?))));
}

fn constant(constant: &Constant) -> Value {
    match constant {
        Constant::Number(value) => json!(value),
        Constant::Boolean(value) => json!(value),
        Constant::Text(value) => json!(value),
    }
}

/// Adds the field of a role. Where it is a feature too, it must be what both say.
fn add_role(
    root: &mut Map<String, Value>,
    use_case: &UseCase,
    field: &str,
    example: &Map<String, Value>,
    mut schema: Value,
) {
    let example = value_at(example, field);
    if let Some(feature) = use_case.features.iter().find(|feature| feature.name == field) {
        let mut both = feature_schema(feature, example);
        both["allOf"] = json!([schema]);
        insert(root, field, both, feature.required);
        return;
    }
    if let Some(example) = example {
        schema["examples"] = json!([example]);
    }
    insert(root, field, schema, false);
}

fn object() -> Map<String, Value> {
    let mut schema = Map::new();
    schema.insert("type".to_owned(), json!("object"));
    schema.insert("properties".to_owned(), json!({}));
    schema.insert("required".to_owned(), json!([]));
    schema.insert("propertyNames".to_owned(), json!({"pattern": NO_NUL}));
    schema.insert("additionalProperties".to_owned(), json!({"$ref": ANYTHING}));
    schema
}

/// Puts the schema of the field at the dotted `path` into the schema of an object.
fn insert(parent: &mut Map<String, Value>, path: &str, schema: Value, required: bool) {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    if required {
        // Only an object all of whose fields are optional may be null.
        parent.insert("type".to_owned(), json!("object"));
    }
    if let Some(Value::Array(names)) = parent.get_mut("required").filter(|_| required)
        && !names.iter().any(|known| known == name)
    {
        names.push(json!(name));
    }
    let Some(Value::Object(properties)) = parent.get_mut("properties") else { return };
    let Some(rest) = rest else {
        properties.insert(name.to_owned(), schema);
        return;
    };
    let nested = || {
        let mut nested = object();
        nested.insert("type".to_owned(), json!(["object", "null"]));
        Value::Object(nested)
    };
    if let Value::Object(child) = properties.entry(name).or_insert_with(nested) {
        insert(child, rest, schema, required);
    }
}

fn value_at<'a>(event: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    match path.split_once('.') {
        None => event.get(path),
        Some((name, rest)) => value_at(event.get(name)?.as_object()?, rest),
    }
}

#[cfg(test)]
mod tests;
