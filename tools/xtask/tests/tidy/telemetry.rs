//! The table of metrics: it names what the sources name, and every name follows the grammar.

use std::collections::BTreeSet;
use std::fs;

use crate::workspace::{assert_none, root, sources};

/// What the second cell may say.
const TYPES: [&str; 3] = ["counter", "gauge", "histogram"];

struct Row {
    name: String,
    kind: String,
    cells: usize,
}

/// Begins the names of a use case's own metrics.
const PREFIX: &str = "<prefix>_";

fn is_name(text: &str) -> bool {
    let of_use_case = text.starts_with(PREFIX);
    let allowed = |c: char| c.is_ascii_lowercase() || c == '_' || of_use_case && matches!(c, '<' | '>');
    (of_use_case || text.starts_with("pulse_")) && text.chars().all(allowed)
}

/// The rows of all tables, which are those whose first cell is a name.
fn rows() -> Vec<Row> {
    let text = fs::read_to_string(root().join("docs/specs/telemetry.md")).unwrap();
    text.lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim).collect();
            let name = cells.first()?.strip_prefix('`')?.strip_suffix('`')?;
            is_name(name).then(|| Row {
                name: name.to_owned(),
                kind: cells.get(1).copied().unwrap_or_default().to_owned(),
                cells: cells.len(),
            })
        })
        .collect()
}

#[test]
fn the_table_names_what_the_sources_name() {
    let documented: BTreeSet<String> = rows().into_iter().map(|row| row.name).collect();
    let exported: BTreeSet<String> = sources()
        .iter()
        .filter(|(path, _)| path.ends_with("metrics.rs") || path.ends_with("metric_names.rs"))
        .flat_map(|(_, text)| text.split('"').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>())
        .filter(|literal| is_name(literal))
        .collect();
    assert_none("docs/specs/telemetry.md lacks", &exported.difference(&documented).cloned().collect::<Vec<_>>());
    assert_none("no metrics.rs has", &documented.difference(&exported).cloned().collect::<Vec<_>>());
}

#[test]
fn names_follow_the_grammar() {
    let rows = rows();
    let mut faults = Vec::new();
    for Row { name, kind, cells } in &rows {
        let words: Vec<&str> = name.split('_').collect();
        let of_use_case = name.starts_with(PREFIX);
        if (words.len() < 3 && !of_use_case) || words.contains(&"") {
            faults.push(format!("{name}: must be pulse_<area>_<noun>_<unit>[_total]"));
        }
        if !TYPES.contains(&kind.as_str()) {
            faults.push(format!("{name}: {kind:?} must be one of {}", TYPES.join(", ")));
        }
        if (kind == "counter") != name.ends_with("_total") {
            faults.push(format!("{name}: counters, and only they, end with _total"));
        }
        // A column's unit is the use case's affair.
        if kind == "histogram"
            && !of_use_case
            && !["_seconds", "_bytes", "_records", "_rows", "_ratio"].iter().any(|unit| name.ends_with(unit))
        {
            faults.push(format!("{name}: a histogram ends with its unit"));
        }
        if *cells != 5 {
            faults.push(format!("{name}: its row must have 5 cells: name, type, labels, unit, meaning"));
        }
    }
    assert_none("these rows of docs/specs/telemetry.md are wrong", &faults);
    let names: BTreeSet<&String> = rows.iter().map(|row| &row.name).collect();
    assert_eq!(names.len(), rows.len(), "a metric is documented twice");
}
