//! JSON Schema (draft 2020-12) of a use case's events, with an example.

use pulse_core::UseCase;
use pulse_core::use_case::{Bounds, Entity, Feature, FeatureType};
use serde_json::{Map, Value, json};

/// The schema of the events of `use_case`, as `/predict` takes them: entity and time may be missing there.
///
/// `x-unit` gives a field's unit, `x-stream-required` the fields that events of a stream must have besides.
pub(crate) fn event_schema(use_case: &UseCase, example: Map<String, Value>) -> Value {
    let mut root = object();
    for feature in &use_case.features {
        let schema = feature_schema(feature, value_at(&example, &feature.name));
        insert(&mut root, &feature.name, schema, feature.required);
    }
    let mut stream_required = Vec::new();
    if let Entity::Field(field) = &use_case.entity {
        stream_required.push(field.clone());
        let description = "The entity that the event belongs to.";
        add_role(
            &mut root,
            use_case,
            field,
            &example,
            json!({"type": ["string", "number", "null"], "description": description}),
        );
    }
    if let Some(field) = &use_case.timestamp.field {
        stream_required.push(field.clone());
        let description = "When it happened: RFC 3339, or milliseconds since 1970-01-01T00:00:00Z.";
        add_role(
            &mut root,
            use_case,
            field,
            &example,
            json!({"type": ["string", "integer", "null"], "description": description}),
        );
    }
    root.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    root.insert("title".to_owned(), json!(use_case.name));
    root.insert("description".to_owned(), json!(use_case.description));
    root.insert("x-stream-required".to_owned(), json!(stream_required));
    root.insert("examples".to_owned(), json!([example]));
    Value::Object(root)
}

/// An event within the limits of every feature, for use cases without a sample.
pub(crate) fn made_up_event(use_case: &UseCase) -> Map<String, Value> {
    let mut event = Map::new();
    for feature in &use_case.features {
        let value = match feature.kind {
            FeatureType::Boolean => json!(true),
            FeatureType::String => json!("text"),
            FeatureType::Number => json!(number_within(feature.bounds)),
            FeatureType::Integer => json!(integer_within(feature.bounds)),
        };
        set_at(&mut event, &feature.name, value);
    }
    event
}

fn number_within(bounds: Bounds) -> f64 {
    let low = bounds.minimum.into_iter().chain(bounds.exclusive_minimum).reduce(f64::max);
    let high = bounds.maximum.into_iter().chain(bounds.exclusive_maximum).reduce(f64::min);
    match (low, high) {
        (Some(low), Some(high)) => low + (high - low) / 2.0,
        (Some(low), None) => low + 1.0,
        (None, Some(high)) => high - 1.0,
        (None, None) => 1.0,
    }
}

fn integer_within(bounds: Bounds) -> i64 {
    let inside = number_within(bounds);
    let fits = |value: f64| {
        bounds.minimum.is_none_or(|low| value >= low)
            && bounds.exclusive_minimum.is_none_or(|low| value > low)
            && bounds.maximum.is_none_or(|high| value <= high)
            && bounds.exclusive_maximum.is_none_or(|high| value < high)
    };
    let nearest = if fits(inside.floor()) { inside.floor() } else { inside.ceil() };
    nearest as i64
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
    let Bounds { minimum, exclusive_minimum, maximum, exclusive_maximum } = feature.bounds;
    let limits = [
        ("minimum", minimum),
        ("exclusiveMinimum", exclusive_minimum),
        ("maximum", maximum),
        ("exclusiveMaximum", exclusive_maximum),
    ];
    for (word, limit) in limits {
        if let Some(limit) = limit {
            schema.insert(word.to_owned(), json!(limit));
        }
    }
    if let Some(example) = example {
        schema.insert("examples".to_owned(), json!([example]));
    }
    Value::Object(schema)
}

/// Adds the field of a role, unless it is a feature too.
fn add_role(
    root: &mut Map<String, Value>,
    use_case: &UseCase,
    field: &str,
    example: &Map<String, Value>,
    mut schema: Value,
) {
    if use_case.features.iter().any(|feature| feature.name == field) {
        return;
    }
    if let Some(example) = value_at(example, field) {
        schema["examples"] = json!([example]);
    }
    insert(root, field, schema, false);
}

fn object() -> Map<String, Value> {
    let mut schema = Map::new();
    schema.insert("type".to_owned(), json!("object"));
    schema.insert("properties".to_owned(), json!({}));
    schema.insert("required".to_owned(), json!([]));
    schema.insert("additionalProperties".to_owned(), json!(true));
    schema
}

/// Puts the schema of the field at the dotted `path` into the schema of an object.
fn insert(parent: &mut Map<String, Value>, path: &str, schema: Value, required: bool) {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
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
    if let Value::Object(child) = properties.entry(name).or_insert_with(|| Value::Object(object())) {
        insert(child, rest, schema, required);
    }
}

fn value_at<'a>(event: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    match path.split_once('.') {
        None => event.get(path),
        Some((name, rest)) => value_at(event.get(name)?.as_object()?, rest),
    }
}

fn set_at(event: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('.') {
        None => drop(event.insert(path.to_owned(), value)),
        Some((name, rest)) => {
            if let Value::Object(child) = event.entry(name).or_insert_with(|| json!({})) {
                set_at(child, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests;
