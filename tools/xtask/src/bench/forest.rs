//! The isolation forest beside those of others.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use serde::Deserialize;

use crate::peers::{figures, python};
use crate::step;

/// isotree imports pandas without saying that it needs it.
const PACKAGES: [&str; 4] = ["scikit-learn==1.9.1", "isotree==0.6.1.post10", "numpy==2.4.6", "pandas==3.1.1"];
const BUILD: [&str; 7] = ["build", "--release", "--locked", "--package", "pulse-forest", "--example", "measure"];
const COLUMNS: [u32; 2] = [4, 20];
/// The setting that the others are compared with.
const BASE: &str = "scikit-learn";

/// Seconds and rates on rows of so many columns.
#[derive(Debug, Clone, Deserialize)]
struct Speed {
    name: String,
    columns: u32,
    fit_s: f64,
    rows_per_s: f64,
    one_s: f64,
    explained_per_s: Option<f64>,
}

/// Mean areas over some seeds, fitted on and scored with all rows.
#[derive(Debug, Clone, Deserialize)]
struct Quality {
    name: String,
    file: PathBuf,
    auc: f64,
    ap: f64,
}

/// Measures speed, and quality on the files in `data`.
pub(super) fn run(data: Option<&Path>, rounds: u32) -> anyhow::Result<()> {
    if !step::run("our side", &mut step::cargo(&BUILD))? {
        bail!("our side cannot be built");
    }
    let ours = step::target()?.join("release/examples/measure");
    let python = python("bench-forest", &PACKAGES)?;
    let script = step::workspace().join("tools/xtask/peers/forest.py");
    let sides = || {
        let mut theirs = Command::new(&python);
        // They warn of what is as it should be: data sets that are smaller than a sample.
        theirs.args(["-W", "ignore"]).arg(&script);
        [Command::new(&ours), theirs]
    };
    let folder = tempfile::tempdir()?;
    for columns in COLUMNS {
        let file = folder.path().join(format!("{columns}.f64"));
        std::fs::write(&file, made_up(columns))?;
        let mut best: Vec<Speed> = Vec::new();
        for _ in 0..rounds {
            for mut side in sides() {
                let found = figures(side.arg("speed").arg(&file).arg(columns.to_string()))?;
                found.into_iter().for_each(|speed| keep(&mut best, speed));
            }
        }
        print_speed(&best);
    }
    if let Some(data) = data {
        let mut files: Vec<PathBuf> = std::fs::read_dir(data)
            .with_context(|| format!("cannot read {}", data.display()))?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()?;
        files.retain(|file| file.extension().is_some_and(|extension| extension == "csv"));
        files.sort();
        let mut found: Vec<Quality> = Vec::new();
        for mut side in sides() {
            found.extend(figures(side.arg("quality").args(&files))?);
        }
        print_quality(&found);
    }
    Ok(())
}

/// 100,000 rows, each value the sum of three uniform ones, as little-endian `f64`.
fn made_up(columns: u32) -> Vec<u8> {
    let mut state = 1_u64;
    let mut uniform = || {
        // Xorshift64*: no figure depends on how good it is.
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1_u64 << 53) as f64
    };
    (0..100_000 * columns).flat_map(|_| (uniform() + uniform() + uniform()).to_le_bytes()).collect()
}

/// Keeps the better of each figure.
fn keep(best: &mut Vec<Speed>, speed: Speed) {
    match best.iter_mut().find(|known| known.name == speed.name) {
        Some(known) => {
            known.fit_s = known.fit_s.min(speed.fit_s);
            known.rows_per_s = known.rows_per_s.max(speed.rows_per_s);
            known.one_s = known.one_s.min(speed.one_s);
            known.explained_per_s = known.explained_per_s.zip(speed.explained_per_s).map(|(a, b)| a.max(b));
        }
        None => best.push(speed),
    }
}

fn print_speed(speeds: &[Speed]) {
    let Some(base) = speeds.iter().find(|speed| speed.name == BASE) else { return };
    println!(
        "\n100,000 rows of {} columns, one thread (in brackets times {BASE}'s; of explaining the time of scoring)",
        base.columns
    );
    println!("{:16} {:>20} {:>26} {:>24} {:>24}", "", "fit", "score", "one row", "explain");
    for speed in speeds {
        println!(
            "{:16} {:>11.2} ms ({:>4.0}x) {:>14.0} rows/s ({:>3.1}x) {:>12.2} µs ({:>5.0}x) {:>24}",
            speed.name,
            speed.fit_s * 1e3,
            base.fit_s / speed.fit_s,
            speed.rows_per_s,
            speed.rows_per_s / base.rows_per_s,
            speed.one_s * 1e6,
            base.one_s / speed.one_s,
            speed.explained_per_s.map_or_else(|| "-".to_owned(), |rate| explained(rate, speed.rows_per_s)),
        );
    }
}

/// Rows that are explained in a second, and the time that takes as a multiple of scoring them.
fn explained(rate: f64, scored: f64) -> String {
    format!("{rate:.0} rows/s ({:.2}x)", scored / rate)
}

fn print_quality(found: &[Quality]) {
    let mut files: BTreeMap<&Path, BTreeMap<&str, &Quality>> = BTreeMap::new();
    let mut names: Vec<&str> = Vec::new();
    for quality in found {
        files.entry(&quality.file).or_default().insert(&quality.name, quality);
        if !names.contains(&quality.name.as_str()) {
            names.push(&quality.name);
        }
    }
    println!("\nmean of 5 seeds, fitted on and scored with all rows: area under the ROC curve / average precision");
    let heads: String = names.iter().map(|name| format!("{name:>19}")).collect();
    println!("{:16}{heads}", "");
    let line = |title: &str, of: &dyn Fn(&str) -> (f64, f64)| {
        let figures: String = names
            .iter()
            .map(|name| {
                let (auc, ap) = of(name);
                format!("{:>19}", format!("{auc:.4} / {ap:.3}"))
            })
            .collect();
        println!("{title:16}{figures}");
    };
    for (file, of_file) in &files {
        let title = file.file_stem().unwrap_or_default().to_string_lossy();
        line(&title, &|name| of_file.get(name).map_or((f64::NAN, f64::NAN), |quality| (quality.auc, quality.ap)));
    }
    line("mean", &|name| {
        let of_name: Vec<&&Quality> = files.values().filter_map(|of_file| of_file.get(name)).collect();
        let mean =
            |of: fn(&Quality) -> f64| of_name.iter().map(|quality| of(quality)).sum::<f64>() / of_name.len() as f64;
        (mean(|quality| quality.auc), mean(|quality| quality.ap))
    });
}
