//! Texts of errors: lower-case, without a full stop, so that they can be put together.

use crate::workspace::{assert_none, sources};

/// What opens the text of an error. Put together, or this file would find itself.
const OPENING: &str = concat!("#[err", "or(");

#[test]
fn texts_can_be_put_together() {
    let faults: Vec<String> = sources()
        .iter()
        .flat_map(|(path, text)| texts(text).map(move |text| (path, text)))
        .filter(|(_, text)| !is_well_formed(text))
        .map(|(path, text)| format!("{path}: {text:?}"))
        .collect();
    assert_none("these texts of errors open with a capital or end with a stop", &faults);
}

/// The texts of errors in a source file; `transparent` ones have none.
fn texts(source: &str) -> impl Iterator<Item = &str> {
    source.split(OPENING).skip(1).filter_map(|rest| {
        let literal = rest.trim_start().strip_prefix('"')?;
        let end = literal.char_indices().find(|&(i, c)| c == '"' && !literal[..i].ends_with('\\'))?.0;
        Some(&literal[..end])
    })
}

/// Names with one capital only. Such as have more of them need not stand here: `SQLite`, `JSON`, `RUST_LOG`.
const NAMES: [&str; 2] = ["Kafka", "Postgres"];

/// A capital is fine where it is that of a name.
fn is_well_formed(text: &str) -> bool {
    let first_word = text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    let is_capital = first_word.starts_with(char::is_uppercase) && !first_word.chars().skip(1).any(char::is_uppercase);
    let is_sentence = is_capital && !NAMES.contains(&first_word);
    !text.is_empty() && !is_sentence && !text.ends_with(['.', '!', '\n'])
}

#[test]
fn the_rule_knows_good_from_bad() {
    for good in ["disk is full", "SQLite cannot open it", "{service} cannot listen", "2 faults", "Kafka is away"] {
        assert!(is_well_formed(good), "{good}");
    }
    for bad in ["Disk is full", "disk is full.", "disk is full!", ""] {
        assert!(!is_well_formed(bad), "{bad}");
    }
    let source =
        format!("{OPENING}\"one \\\"x\\\"\")] A, {OPENING}transparent)] B, {OPENING}\n  \"two {{}}\", f(.0))] C");
    assert_eq!(texts(&source).collect::<Vec<_>>(), ["one \\\"x\\\"", "two {}"]);
}
