//! What serde wanted and what it found, in the words of people who write YAML.

use serde::de::Unexpected;

/// What was wanted, from serde's name of it.
pub(super) fn wanted(name: &str) -> &str {
    match name {
        "f64" | "f32" => "a number",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number of at least 0",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "a string" => "text (in quotes, where it looks like something else)",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "keys and values",
        name if name.starts_with("struct ") => "keys and values",
        name => name,
    }
}

/// What was found.
pub(super) fn found(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(value) => value.to_string(),
        Unexpected::Unsigned(value) => value.to_string(),
        Unexpected::Signed(value) => value.to_string(),
        Unexpected::Float(value) => value.to_string(),
        Unexpected::Str(value) => format!("{value:?}"),
        Unexpected::Unit | Unexpected::Option => "nothing".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "keys and values".to_owned(),
        other => other.to_string(),
    }
}
