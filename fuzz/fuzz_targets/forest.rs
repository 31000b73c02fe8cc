//! Bytes of a forest, with the checksum that they should have: what is one scores any row, and is written as the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pulse_forest::IsolationForest;
use xxhash_rust::xxh3::xxh3_64;

fuzz_target!(|content: &[u8]| {
    drop(IsolationForest::from_bytes(content));
    let mut bytes = [b"pulsefst".as_slice(), content].concat();
    bytes.extend(xxh3_64(&bytes).to_le_bytes());
    if let Ok(forest) = IsolationForest::from_bytes(&bytes) {
        let row: Vec<f64> = content.iter().map(|&byte| f64::from(byte)).cycle().take(forest.columns()).collect();
        assert!((0.0..=1.0).contains(&forest.score_one(&row)));
        assert_eq!(forest.contributions(&row).len(), forest.columns());
        assert_eq!(forest.to_bytes(), bytes);
    }
});
