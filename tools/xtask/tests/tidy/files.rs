//! Files: how they open, how long they are, what they are called.

use crate::workspace::{assert_none, sources};

/// No file is longer, unless it is listed.
const MAX_LINES: usize = 500;
/// Half of the files are no longer.
const MEDIAN_LINES: usize = 150;

/// Files that may be longer, each with the reason.
const MAY_BE_LONG: [(&str, &str); 0] = [];

#[test]
fn every_file_says_what_it_is() {
    let silent: Vec<String> =
        sources().into_iter().filter(|(_, text)| !text.starts_with("//! ")).map(|(path, _)| path).collect();
    assert_none("these files do not open with `//! …`", &silent);
}

#[test]
fn no_file_is_too_long() {
    let long: Vec<String> = sources()
        .into_iter()
        .filter(|(path, _)| MAY_BE_LONG.iter().all(|(listed, _)| listed != path))
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > MAX_LINES)
        .map(|(path, lines)| format!("{path}: {lines}"))
        .collect();
    assert_none("these files are too long: split them, or list them here with the reason", &long);
}

#[test]
fn most_files_are_short() {
    let mut lines: Vec<usize> = sources().iter().map(|(_, text)| text.lines().count()).collect();
    lines.sort_unstable();
    let median = lines[lines.len() / 2];
    assert!(median <= MEDIAN_LINES, "half of the files have more than {median} lines");
}

#[test]
fn modules_are_named_after_themselves() {
    let unnamed: Vec<String> =
        sources().into_iter().map(|(path, _)| path).filter(|path| path.ends_with("/mod.rs")).collect();
    assert_none("call these `foo.rs` beside `foo/`", &unnamed);
}
