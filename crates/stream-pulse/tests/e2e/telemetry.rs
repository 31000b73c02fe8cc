//! `docs/specs/telemetry.md` lists what is really exported, no more and no less.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Instant;

use crate::http::get;
use crate::process::{PATIENCE, Up, up};

/// The prefix of the use case that is run.
const PREFIX: &str = "nyc_taxi_";

/// A metric's type and the names of its labels.
type Exported = BTreeMap<String, (String, BTreeSet<String>)>;

fn exported(text: &str) -> Exported {
    let mut metrics = Exported::new();
    for line in text.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            metrics.insert(name.to_owned(), (kind.to_owned(), BTreeSet::new()));
        } else if !line.starts_with('#') {
            let Some((series, _)) = line.rsplit_once(' ') else { continue };
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
            let name = if metrics.contains_key(name) { name } else { base.unwrap_or(name) };
            let names = labels.split("\",").filter_map(|label| label.split_once("=\"")).map(|(label, _)| label);
            let entry = metrics.get_mut(name).unwrap_or_else(|| panic!("{line} has no type"));
            entry.1.extend(names.filter(|label| *label != "le").map(str::to_owned));
        }
    }
    metrics
}

/// The names as the tables have them, where one stands for all columns.
fn with_placeholders(exported: Exported, documented: &Exported) -> Exported {
    let mut metrics = Exported::new();
    for (name, (kind, labels)) in exported {
        let name = match name.strip_prefix(PREFIX) {
            None => name,
            Some(own) => {
                let fixed = format!("<prefix>_{own}");
                if documented.contains_key(&fixed) { fixed } else { "<prefix>_<feature>".to_owned() }
            }
        };
        let known = metrics.entry(name.clone()).or_insert_with(|| (kind.clone(), labels.clone()));
        assert_eq!(known, &(kind, labels), "{name}");
    }
    metrics
}

/// The rows of the tables: `name | type | labels | unit | meaning`. Left out are Kafka's, the remote scorer's, a candidate's and that of a stored model: here is
/// none of them.
fn documented() -> Exported {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/specs/telemetry.md");
    let text = std::fs::read_to_string(path).unwrap();
    let begins = |line: &&str, starts: &[&str]| {
        starts.iter().any(|start| line.strip_prefix("| `").is_some_and(|line| line.starts_with(start)))
    };
    let rows = text.lines().filter(|line| begins(line, &["pulse_", "process_", "<prefix>_"]));
    let rows = rows.filter(|line| {
        !begins(line, &["pulse_kafka_", "pulse_scorer_", "pulse_ml_shadow_", "pulse_ml_model_trained_timestamp_"])
    });
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let bare = |cell: &str| cell.replace('`', "");
        (bare(cells[0]), (bare(cells[1]), label_names(cells[2])))
    })
    .collect()
}

/// A cell is `name`: its values, `name`: its values … or just the names.
fn label_names(cell: &str) -> BTreeSet<String> {
    let quoted: Vec<&str> = cell.split('`').collect();
    let names = quoted.chunks_exact(2).map(|pair| pair[1]);
    let behind = quoted.iter().skip(2).step_by(2);
    let all = !cell.contains(':');
    names.zip(behind).filter(|(_, behind)| all || behind.starts_with(':')).map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn the_table_is_what_is_exported() {
    let data = tempfile::tempdir().unwrap();
    let mut up = Up::start(&mut up(data.path(), &["--rate", "1000"]));
    up.wait_for("is running");
    let services =
        ["dashboard", "API docs", "metrics of the processor", "metrics of the writer", "metrics of the simulator"];
    let bases: Vec<String> = services.iter().map(|what| up.address(what)).collect();
    // One request of every kind, so that series that come with a request are there.
    get(&format!("{}/api/summary", bases[0]));
    get(&format!("{}/health", bases[1]));
    let documented = documented();
    let started = Instant::now();
    // A series may come with the first event; one that never comes is documented in vain.
    let all = loop {
        let mut all = Exported::new();
        for base in &bases {
            all.extend(with_placeholders(exported(&get(&format!("{base}/metrics")).body), &documented));
        }
        if documented.keys().all(|name| all.contains_key(name)) || started.elapsed() > PATIENCE {
            break all;
        }
        up.still_runs();
        std::thread::sleep(std::time::Duration::from_millis(100));
    };
    for (name, metric) in &all {
        assert_eq!(documented.get(name), Some(metric), "{name} is exported otherwise than documented");
    }
    for name in documented.keys() {
        assert!(all.contains_key(name), "{name} is documented, but not exported");
    }
}
