//! A forest as bytes.

use crate::kinds::{fit, params, rows};
use linfa::traits::Predict;
use ndarray::Array2;
use proptest::prelude::*;
use pulse_forest::{DecodeError, ForestParams, IsolationForest};
use xxhash_rust::xxh3::xxh3_64;

fn some_bytes() -> Vec<u8> {
    let rows = Array2::from_shape_fn((40, 3), |(row, column)| ((row * 37 + column * 59) % 101) as f64);
    fit(&rows, &ForestParams::accurate().trees(2).smallest_sample(16)).to_bytes()
}

/// `bytes` with the checksum that they should have.
fn signed(mut bytes: Vec<u8>) -> Vec<u8> {
    let content = bytes.len() - 8;
    let checksum = xxh3_64(&bytes[..content]);
    bytes[content..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

#[test]
fn what_is_no_forest_is_said_to_be_none() {
    let bytes = some_bytes();
    let of = |bytes: &[u8]| IsolationForest::from_bytes(bytes).unwrap_err();
    assert_eq!(of(b""), DecodeError::Foreign);
    assert_eq!(of(b"PAR1 and more"), DecodeError::Foreign);
    let mut newer = bytes.clone();
    newer[8] = 2;
    assert_eq!(of(&newer), DecodeError::Version(2));
    let mut damaged = bytes.clone();
    damaged[100] ^= 1;
    assert_eq!(of(&damaged), DecodeError::Checksum);
    for end in 8..bytes.len() {
        assert!(matches!(of(&bytes[..end]), DecodeError::Checksum | DecodeError::Invalid(_)), "cut at {end}");
    }
    let mut longer = bytes.clone();
    longer.splice(bytes.len() - 8..bytes.len() - 8, [0; 4]);
    assert!(matches!(of(&signed(longer)), DecodeError::Invalid(_)));
}

#[test]
fn counts_that_are_not_there_take_no_memory() {
    // All trees and columns that a number can say.
    for at in [12, 16, 20, 24] {
        let mut bytes = some_bytes();
        bytes[at..at + 4].fill(0xff);
        assert!(matches!(IsolationForest::from_bytes(&signed(bytes)), Err(DecodeError::Invalid(_))));
    }
}

proptest! {
    #[test]
    fn it_comes_back_as_it_was(rows in rows(), params in params()) {
        let forest = fit(&rows, &params);
        let bytes = forest.to_bytes();
        let back = IsolationForest::from_bytes(&bytes).unwrap();
        prop_assert_eq!(&back.to_bytes(), &bytes);
        prop_assert_eq!(back.predict(&rows), forest.predict(&rows));
        for row in rows.rows() {
            prop_assert_eq!(back.contributions(&row.to_vec()), forest.contributions(&row.to_vec()));
        }
    }

    #[test]
    fn what_is_damaged_and_signed_anew_is_an_error_or_a_forest(
        changes in prop::collection::vec((8..2000_usize, any::<u8>()), 1..6),
        row in prop::collection::vec(any::<f64>(), 1023),
    ) {
        let mut bytes = some_bytes();
        let length = bytes.len() - 8;
        changes.into_iter().for_each(|(at, byte)| bytes[8 + (at - 8) % (length - 8)] = byte);
        let bytes = signed(bytes);
        if let Ok(forest) = IsolationForest::from_bytes(&bytes) {
            prop_assert_eq!(forest.to_bytes(), bytes);
            let score = forest.score_one(&row[..forest.columns()]);
            prop_assert!((0.0..=1.0).contains(&score), "{score}");
            prop_assert_eq!(forest.contributions(&row[..forest.columns()]).len(), forest.columns());
        }
    }
}
