//! Fields of JSON objects, by their dotted paths.

use bytes::{BufMut, BytesMut};
use serde_json::{Map, Number, Value};

/// From here on, 64-bit floating point confuses neighbours.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The value at the dotted `path`.
pub(super) fn get<'a>(event: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    match path.split_once('.') {
        None => event.get(path),
        Some((first, rest)) => get(event.get(first)?.as_object()?, rest),
    }
}

/// The value at the dotted `path`, to be changed.
pub(super) fn get_mut<'a>(event: &'a mut Map<String, Value>, path: &str) -> Option<&'a mut Value> {
    match path.split_once('.') {
        None => event.get_mut(path),
        Some((first, rest)) => get_mut(event.get_mut(first)?.as_object_mut()?, rest),
    }
}

/// The number at the dotted `path`.
pub(super) fn number(event: &Map<String, Value>, path: &str) -> Option<f64> {
    get(event, path).and_then(Value::as_f64)
}

/// Puts `value` at the dotted `path`, making the objects on the way there.
pub(super) fn put(event: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('.') {
        None => drop(event.insert(path.to_owned(), value)),
        Some((first, rest)) => {
            if let Value::Object(inner) = event.entry(first).or_insert_with(|| Value::Object(Map::new())) {
                put(inner, rest, value);
            }
        }
    }
}

/// A finite number as all events write it, drawn ones and changed ones alike: without a fraction where it has none.
pub(super) fn to_number(value: f64) -> Option<Number> {
    #[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
    if value.fract() == 0.0 && value.abs() < EXACT { Some(Number::from(value as i64)) } else { Number::from_f64(value) }
}

/// Appends `value` to `out`; the types written here always serialise, and a buffer in memory takes all of it.
pub(super) fn write(value: &(impl serde::Serialize + ?Sized), out: &mut BytesMut) {
    serde_json::to_writer(out.writer(), value).unwrap_or_default();
}

/// An object as text; maps of JSON values always serialise.
pub(super) fn to_text(event: &Map<String, Value>) -> String {
    serde_json::to_string(event).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_lead_into_objects() {
        let mut event = Map::new();
        put(&mut event, "a.b", json!(1.5));
        put(&mut event, "a.c", json!("x"));
        put(&mut event, "a.c.d", json!("no object on the way: left alone"));
        assert_eq!(Value::Object(event.clone()), json!({"a": {"b": 1.5, "c": "x"}}));
        assert_eq!(number(&event, "a.b"), Some(1.5));
        assert_eq!((get(&event, "a.x"), get(&event, "a.b.c")), (None, None));
        *get_mut(&mut event, "a.b").unwrap() = json!(2);
        assert_eq!(to_text(&event), r#"{"a":{"b":2,"c":"x"}}"#);
    }

    #[test]
    fn whole_numbers_have_no_fraction() {
        let text = |value: f64| to_number(value).map(|number| number.to_string());
        assert_eq!(text(21.0).as_deref(), Some("21"));
        assert_eq!(text(-0.0).as_deref(), Some("0"));
        assert_eq!(text(0.1).as_deref(), Some("0.1"));
        assert_eq!(text(f64::NAN), None);
    }
}
