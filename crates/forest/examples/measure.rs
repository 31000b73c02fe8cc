//! Our side of `cargo xtask bench forest`: prints one line of JSON for each figure.
//!
//! - `measure speed FILE COLUMNS`: `FILE` holds little-endian `f64`, row after row
//! - `measure quality FILE…`: CSV with a header and a last column `label`, 1 for anomalies

use std::error::Error;
use std::hint::black_box;
use std::io::Write;
use std::time::Instant;

use linfa::Dataset;
use linfa::traits::Fit;
use ndarray::Array2;
use pulse_forest::{ForestParams, IsolationForest};

const SEEDS: u64 = 5;

fn settings() -> [(&'static str, ForestParams); 2] {
    [("plain", ForestParams::default()), ("accurate", ForestParams::accurate())]
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["speed", file, columns] => speed(file, columns.parse()?),
        ["quality", files @ ..] => files.iter().try_for_each(|file| quality(file)),
        _ => Err("usage: measure speed FILE COLUMNS | measure quality FILE…".into()),
    }
}

/// Seconds that `work` takes, the least of some times.
fn time<T>(times: u32, mut work: impl FnMut() -> T) -> f64 {
    let once = |_| {
        let begun = Instant::now();
        black_box(work());
        begun.elapsed().as_secs_f64()
    };
    (0..times).map(once).fold(f64::INFINITY, f64::min)
}

fn speed(file: &str, columns: usize) -> Result<(), Box<dyn Error>> {
    let values: Vec<f64> = std::fs::read(file)?.as_chunks().0.iter().map(|&bytes| f64::from_le_bytes(bytes)).collect();
    let rows = Array2::from_shape_vec((values.len() / columns, columns), values)?;
    let dataset = Dataset::from(rows);
    let rows = &dataset.records;
    let mut out = std::io::stdout().lock();
    for (name, params) in settings() {
        let fit = time(5, || params.fit(&dataset).map(|forest| forest.trees()));
        let forest: IsolationForest = params.fit(&dataset)?;
        let score = time(3, || forest.score_rows(rows.view()));
        let some: Vec<Vec<f64>> = rows.rows().into_iter().take(5_000).map(|row| row.to_vec()).collect();
        let one = time(5, || some.iter().map(|row| forest.score_one(row)).sum::<f64>());
        let explain = time(5, || some.iter().map(|row| forest.contributions(row)[0]).sum::<f64>());
        let explain_all = time(3, || forest.contributions_of_rows(rows.view()));
        let each = 1.0 / some.len() as f64;
        writeln!(
            out,
            r#"{{"name":"{name}","columns":{columns},"fit_s":{fit},"rows_per_s":{},"one_s":{},"explain_s":{},"explained_per_s":{}}}"#,
            rows.nrows() as f64 / score,
            one * each,
            explain * each,
            rows.nrows() as f64 / explain_all,
        )?;
    }
    Ok(())
}

fn quality(file: &str) -> Result<(), Box<dyn Error>> {
    let text = std::fs::read_to_string(file)?;
    let mut values: Vec<f64> = Vec::new();
    let mut labels: Vec<bool> = Vec::new();
    for line in text.lines().skip(1) {
        let (row, label) = line.rsplit_once(',').ok_or("a line without columns")?;
        labels.push(label.trim().parse::<f64>()? > 0.0);
        for value in row.split(',') {
            values.push(value.trim().parse().unwrap_or(f64::NAN));
        }
    }
    let dataset = Dataset::from(Array2::from_shape_vec((labels.len(), values.len() / labels.len()), values)?);
    let mut out = std::io::stdout().lock();
    for (name, params) in settings() {
        let (mut area, mut precision) = (0.0, 0.0);
        for seed in 0..SEEDS {
            let forest = params.clone().seed(seed).fit(&dataset)?;
            let scores = forest.score_rows(dataset.records.view()).to_vec();
            let (a, p) = areas(&scores, &labels);
            area += a / SEEDS as f64;
            precision += p / SEEDS as f64;
        }
        writeln!(out, r#"{{"name":"{name}","file":"{file}","auc":{area},"ap":{precision}}}"#)?;
    }
    Ok(())
}

/// The area under the ROC curve, and the average precision; rows of equal score count together.
fn areas(scores: &[f64], labels: &[bool]) -> (f64, f64) {
    let mut ranked: Vec<(f64, bool)> = scores.iter().copied().zip(labels.iter().copied()).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    let positives = labels.iter().filter(|&&label| label).count() as f64;
    let negatives = labels.len() as f64 - positives;
    let (mut found, mut wrong, mut area, mut precision) = (0.0, 0.0, 0.0, 0.0);
    for alike in ranked.chunk_by(|a, b| a.0 == b.0) {
        let right = alike.iter().filter(|(_, label)| *label).count() as f64;
        let others = alike.len() as f64 - right;
        area += others * (found + right / 2.0);
        found += right;
        wrong += others;
        precision += right / positives * found / (found + wrong);
    }
    (area / (positives * negatives), precision)
}
