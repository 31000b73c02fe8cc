//! What a payload as a whole must be, and how its faults are worded.

mod escapes;

use std::collections::HashMap;

use pulse_core::use_case::PayloadLimits;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::fault::Fault;

/// `payload` as text, where it can be an event.
pub(super) fn check(payload: &[u8], limits: PayloadLimits) -> Result<&str, Fault> {
    let PayloadLimits { max_bytes, max_depth } = limits;
    if payload.is_empty() {
        return Err(Fault::payload("is empty: send a JSON object"));
    }
    if payload.len() > max_bytes {
        let message = format!("has {} bytes: send at most {max_bytes}", payload.len());
        return Err(Fault::payload(message));
    }
    let text = std::str::from_utf8(payload).map_err(|error| {
        Fault::payload(format!("is not UTF-8 from byte {} on: send JSON in UTF-8", error.valid_up_to()))
    })?;
    if text.starts_with('\u{feff}') {
        return Err(Fault::payload("begins with a byte order mark: send UTF-8 without it"));
    }
    if is_too_deep(payload, max_depth) {
        return Err(Fault::payload(format!("is nested deeper than {max_depth} levels: flatten it")));
    }
    match escapes::unstorable(payload) {
        Some((at, what)) => Err(Fault::payload(format!("has {what} at byte {at}: leave it out"))),
        None => Ok(text),
    }
}

/// Whether objects and arrays lie in each other deeper than the limit.
fn is_too_deep(payload: &[u8], max_depth: usize) -> bool {
    // Most events have fewer brackets than levels allowed: counting them is much cheaper than following them.
    if opening_brackets(payload) <= max_depth {
        return false;
    }
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in payload {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest > max_depth
}

fn opening_brackets(payload: &[u8]) -> usize {
    // Counts of so few bytes fit in a byte each, which lets the compiler count many at once.
    let count = |chunk: &[u8]| chunk.iter().map(|byte| u8::from(byte | 0x20 == b'{')).sum::<u8>();
    payload.chunks(128).map(|chunk| usize::from(count(chunk))).sum()
}

pub(super) fn not_an_object(text: &str) -> Fault {
    let mut fault = Fault::payload("is no JSON object: send one like {\"field\": value}");
    fault.value = Fault::quote(text.to_owned());
    fault
}

pub(super) fn not_json(error: &serde_json::Error, text: &str) -> Fault {
    let hint =
        if names_no_number(error, text) { ": JSON has no such number, leave the field out or send null" } else { "" };
    Fault::payload(format!("is not valid JSON: {error}{hint}"))
}

/// Whether parsing stopped at a number that only other languages have.
fn names_no_number(error: &serde_json::Error, text: &str) -> bool {
    let line = text.split('\n').nth(error.line().saturating_sub(1)).unwrap_or_default();
    // The error is at the word's sign or at one of its first letters.
    let from = error.column().saturating_sub(3);
    let near: String = line.chars().skip(from).take(12).collect();
    ["NaN", "nan", "Infinity", "inf"].iter().any(|word| near.contains(word))
}

/// Whether `error` says that a number is beyond the range of 64-bit floating point.
pub(super) fn is_out_of_range(error: &serde_json::Error) -> bool {
    // The kind is private in serde_json; its text is the only way to tell.
    error.to_string().starts_with("number out of range")
}

pub(super) fn too_large(path: &str) -> Fault {
    Fault::field(path, String::new(), "is too large for a 64-bit number: send one below 1.8e308")
}

/// The whole number at the dotted `path` as it is written; none where something else is written there.
pub(crate) fn digits_at(payload: &str, path: &str) -> Option<String> {
    let mut text = payload;
    for key in path.split('.') {
        // Of a key that comes twice, the last one counts, as everywhere.
        let object: HashMap<String, &RawValue> = serde_json::from_str(text).ok()?;
        text = object.get(key)?.get();
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.to_owned())
}

/// The value at the dotted `path`, quoted for a fault. Only for events that have one: it parses the payload anew.
pub(crate) fn quote_at(payload: &str, path: &str) -> String {
    let Ok(mut value) = serde_json::from_str::<Value>(payload) else { return String::new() };
    for key in path.split('.') {
        match value.get_mut(key) {
            Some(inner) => value = inner.take(),
            None => return String::new(),
        }
    }
    Fault::quote(value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_counted_outside_of_strings() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(!is_too_deep(nested(32).as_bytes(), 32));
        assert!(is_too_deep(nested(33).as_bytes(), 32));
        assert!(!is_too_deep(format!("{{\"a\":\"\\\"{}\"}}", nested(40)).as_bytes(), 32));
        assert!(!is_too_deep(format!("[{}]", "[],".repeat(100)).as_bytes(), 32));
        assert_eq!(opening_brackets(&b"{[;}]".repeat(300)), 600);
    }

    #[test]
    fn digits_are_those_that_were_written() {
        let event = r#"{"\u0061":1,"a":{"b":18446744073709551616,"c":1e30,"d":-99999999999999999999}}"#;
        assert_eq!(digits_at(event, "a.b").as_deref(), Some("18446744073709551616"));
        assert_eq!(digits_at(event, "a.d").as_deref(), Some("-99999999999999999999"));
        assert_eq!((digits_at(event, "a.c"), digits_at(event, "a"), digits_at(event, "a.b.c")), (None, None, None));
    }

    #[test]
    fn values_are_quoted_by_path() {
        assert_eq!(quote_at(r#"{"a":{"b":[1, 2]}}"#, "a.b"), "[1,2]");
        assert_eq!(quote_at(r#"{"a":1}"#, "a.b"), "");
        assert_eq!(quote_at(&format!(r#"{{"a":"{}"}}"#, "ü".repeat(200)), "a").chars().count(), 100);
    }
}
