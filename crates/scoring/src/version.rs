//! The version of a model: a fingerprint of all that it depends on.

use pulse_core::Matrix;
use pulse_core::use_case::{ForestKind, ForestSettings};
use xxhash_rust::xxh3::Xxh3;

/// Rises whenever the same rows and settings would give other scores than before.
const FORMAT: u32 = 2;

/// 16 hexadecimal digits that stand for settings, columns and training rows.
pub(crate) fn version(settings: &ForestSettings, columns: &[String], rows: &Matrix) -> String {
    let mut hash = Xxh3::new();
    hash.update(&FORMAT.to_le_bytes());
    hash.update(&[match settings.kind {
        ForestKind::Plain => 0,
        ForestKind::Accurate => 1,
    }]);
    hash.update(&settings.trees.to_le_bytes());
    hash.update(&settings.sample_size.to_le_bytes());
    hash.update(&settings.seed.to_le_bytes());
    match settings.threshold {
        Some(threshold) => {
            hash.update(b"threshold");
            hash.update(&threshold.to_le_bytes());
        }
        None => {
            hash.update(b"rate");
            hash.update(&settings.expected_rate.to_le_bytes());
        }
    }
    hash.update(&(columns.len() as u64).to_le_bytes());
    for column in columns {
        hash.update(&(column.len() as u64).to_le_bytes());
        hash.update(column.as_bytes());
    }
    for &value in rows.as_slice() {
        // There are many `NaN`s; they all mean missing.
        let value = if value.is_nan() { f64::NAN } else { value };
        hash.update(&value.to_le_bytes());
    }
    format!("{:016x}", hash.digest())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: ForestSettings = ForestSettings {
        features: None,
        kind: ForestKind::Plain,
        trees: 10,
        sample_size: 16,
        seed: 1,
        expected_rate: 0.01,
        threshold: None,
        decides: true,
    };

    fn of(settings: &ForestSettings, columns: &[&str], values: &[f64]) -> String {
        let mut rows = Matrix::with_capacity(columns.len(), 1);
        values.chunks_exact(columns.len()).for_each(|row| rows.push(row));
        version(settings, &columns.iter().map(|&name| name.to_owned()).collect::<Vec<_>>(), &rows)
    }

    #[test]
    fn it_is_the_same_on_every_machine() {
        assert_eq!(of(&SETTINGS, &["a", "b"], &[1.0, 2.0]), "ea350ad79b8beea8");
        assert_eq!(of(&SETTINGS, &["a"], &[f64::NAN]), of(&SETTINGS, &["a"], &[-f64::NAN]));
    }

    #[test]
    fn whatever_changes_scores_changes_it() {
        let first = of(&SETTINGS, &["a", "b"], &[1.0, 2.0]);
        let others = [
            of(&ForestSettings { seed: 2, ..SETTINGS }, &["a", "b"], &[1.0, 2.0]),
            of(&ForestSettings { kind: ForestKind::Accurate, ..SETTINGS }, &["a", "b"], &[1.0, 2.0]),
            of(&ForestSettings { trees: 11, ..SETTINGS }, &["a", "b"], &[1.0, 2.0]),
            of(&ForestSettings { sample_size: 17, ..SETTINGS }, &["a", "b"], &[1.0, 2.0]),
            of(&ForestSettings { expected_rate: 0.02, ..SETTINGS }, &["a", "b"], &[1.0, 2.0]),
            of(&ForestSettings { threshold: Some(0.01), ..SETTINGS }, &["a", "b"], &[1.0, 2.0]),
            of(&SETTINGS, &["ab", ""], &[1.0, 2.0]),
            of(&SETTINGS, &["a", "b"], &[1.0, 2.5]),
        ];
        assert!(!others.contains(&first), "{others:?}");
        // Whether it decides is no property of the scores.
        assert_eq!(of(&ForestSettings { decides: false, ..SETTINGS }, &["a", "b"], &[1.0, 2.0]), first);
    }
}
