//! The rolling rule against scores computed in exact rational arithmetic: real series of the Numenta Anomaly Benchmark and
//! synthetic ones that break common formulas. Where the file came from: `tests/data/README.md`.

use std::collections::HashMap;
use std::fs::File;

use flate2::read::GzDecoder;
use pulse_detect::{MAX_SCORE, RollingZScore, Window};

#[test]
fn equals_the_golden_file() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/golden_zscore.csv.gz");
    let mut reader = csv::Reader::from_reader(GzDecoder::new(File::open(path).unwrap()));
    let rule = RollingZScore::new(100, 2, 3.0).unwrap();
    let mut windows: HashMap<String, Window> = HashMap::new();
    let (mut rows, mut scored, mut constant) = (0, 0, 0);
    for row in reader.records() {
        let row = row.unwrap();
        let value: f64 = row[1].parse().unwrap();
        let window = windows.entry(row[0].to_owned()).or_default();
        assert_eq!(window.len(), row[2].parse::<usize>().unwrap(), "row {rows}");
        let got = rule.observe(window, value);
        match (got, row[3].parse::<f64>()) {
            (Some(got), Ok(want)) => {
                // One part in a billion, or what rounding of the input leaves of a small score at a large offset.
                let tolerance = 1e-9 * want.abs().max(1.0);
                assert!((got.score - want.abs()).abs() <= tolerance, "row {rows}: {} is not {want}", got.score);
                assert_eq!(rule.fires(&got), want.abs() >= 3.0, "row {rows}: {} and {want}", got.score);
                scored += 1;
            }
            (Some(got), Err(_)) => {
                assert!(got.score == 0.0 || got.score == MAX_SCORE, "row {rows}: {}", got.score);
                constant += 1;
            }
            (None, want) => assert!(want.is_err(), "row {rows} has no score"),
        }
        rows += 1;
    }
    assert_eq!((rows, windows.len()), (29_243, 15));
    assert_eq!((scored, constant), (26_808, 2_405));
}
