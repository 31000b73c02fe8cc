//! Escapes in JSON strings that many readers and databases refuse: `\u0000`, and halves of surrogate pairs.
//!
//! Parsing alone would find them in declared fields only. An anomaly carries the whole event, which has to fit into a database.

/// The first such escape of `json`: its byte and what it is.
pub(super) fn unstorable(json: &[u8]) -> Option<(usize, &'static str)> {
    // Most events have no backslash at all, and this search takes many bytes at once.
    if !json.contains(&b'\\') {
        return None;
    }
    let mut from = 0;
    loop {
        let at = from + json.get(from..)?.iter().position(|&byte| byte == b'\\')?;
        from = at + 2;
        if json.get(at + 1) != Some(&b'u') {
            continue;
        }
        match unit(json, at)? {
            0 => return Some((at, "the escape \\u0000")),
            0xD800..=0xDBFF if unit(json, at + 6).is_some_and(|low| (0xDC00..=0xDFFF).contains(&low)) => from = at + 12,
            0xD800..=0xDFFF => return Some((at, "half of a surrogate pair")),
            _ => from = at + 6,
        }
    }
}

/// The code unit that the escape at byte `at` stands for; none where there is no such escape, which the parser will say.
fn unit(json: &[u8], at: usize) -> Option<u32> {
    let [b'\\', b'u', digits @ ..] = json.get(at..at + 6)? else { return None };
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_cannot_be_stored_is_found() {
        for (json, expected) in [
            (r#"{"a":"b"}"#, None),
            (r#"{"a":"\n\\u0000\u0041"}"#, None),
            (r#"{"a":"\u0000"}"#, Some(6)),
            (r#"{"a":"\\\u0000"}"#, Some(8)),
            (r#"{"a":"\ud83d\ude00"}"#, None),
            (r#"{"a":"\uD83D\u0041"}"#, Some(6)),
            (r#"{"a":"\ude00"}"#, Some(6)),
            (r#"{"a":"\ud83d"#, Some(6)),
            (r#"{"a":"\u00"#, None),
            (r#"{"a":"\"#, None),
        ] {
            assert_eq!(unstorable(json.as_bytes()).map(|(at, _)| at), expected, "{json}");
        }
    }
}
