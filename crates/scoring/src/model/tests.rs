//! Tests of the model.

use super::*;

pub(crate) const SETTINGS: ForestSettings = ForestSettings {
    features: None,
    kind: ForestKind::Plain,
    trees: 100,
    sample_size: 256,
    seed: 7,
    expected_rate: 0.02,
    threshold: None,
    decides: true,
};

pub(crate) fn names() -> Vec<String> {
    ["fare", "distance", "constant"].map(str::to_owned).to_vec()
}

/// Trips whose fare follows their distance, a constant beside them, and every 10th distance missing.
pub(crate) fn trips() -> Matrix {
    let mut rows = Matrix::with_capacity(3, 500);
    for i in 0..500_u32 {
        let spread = f64::from(i.wrapping_mul(2_654_435_761) >> 16) / 65_536.0;
        let distance = 1.0 + 9.0 * spread * spread;
        let fare = 3.0 + 2.5 * distance + f64::from(i % 5) * 0.3;
        rows.push(&[fare, if i % 10 == 0 { f64::NAN } else { distance }, 4.0]);
    }
    rows
}

#[test]
fn at_most_the_expected_rate_of_the_training_rows_is_flagged() {
    let model = Model::train(&trips(), &names(), &SETTINGS).unwrap();
    let scores = model.score(&trips());
    let flagged = scores.scores.iter().filter(|&&score| score >= model.threshold()).count();
    assert!((1..=10).contains(&flagged), "{flagged} of 500");
    assert_eq!(scores.contributions.len(), flagged);
    assert_eq!((scores.threshold, &scores.model_version), (model.threshold(), model.version()));
}

#[test]
fn a_fixed_threshold_is_kept() {
    let settings = ForestSettings { threshold: Some(0.61), ..SETTINGS };
    let model = Model::train(&trips(), &names(), &settings).unwrap();
    assert_eq!(model.threshold(), 0.61);
    assert_eq!(model.info().expected_rate, None);
}

#[test]
fn an_anomaly_is_found_and_explained() {
    let model = Model::train(&trips(), &names(), &SETTINGS).unwrap();
    let mut rows = Matrix::with_capacity(3, 2);
    rows.push(&[8.5, 2.0, 4.0]);
    rows.push(&[300.0, 2.0, 4.0]);
    let scores = model.score(&rows);
    assert!(scores.scores[0] < model.threshold() && scores.scores[1] >= model.threshold(), "{scores:?}");
    let [(1, shares)] = scores.contributions.as_slice() else { panic!("{scores:?}") };
    assert!(shares[0] > 0.6, "{shares:?}");
    assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    let (all_scores, all_shares) = model.explain(&rows);
    assert_eq!((&all_scores, &all_shares[1]), (&scores.scores, shares));
    for (index, row) in rows.iter().enumerate() {
        let mut alone = Matrix::with_capacity(3, 1);
        alone.push(row);
        assert_eq!(model.explain(&alone), (vec![all_scores[index]], vec![all_shares[index].clone()]));
    }
}

#[test]
fn equal_rows_and_settings_give_an_equal_model() {
    let (a, b) = (Model::train(&trips(), &names(), &SETTINGS), Model::train(&trips(), &names(), &SETTINGS));
    let (a, b) = (a.unwrap(), b.unwrap());
    assert_eq!(a.version(), b.version());
    assert_eq!(a.score(&trips()), b.score(&trips()));
    let other = Model::train(&trips(), &names(), &ForestSettings { seed: 8, ..SETTINGS }).unwrap();
    assert_ne!(a.version(), other.version());
}

#[test]
fn columns_are_selected_by_name() {
    let settings = ForestSettings { features: Some(vec!["distance".to_owned(), "fare".to_owned()]), ..SETTINGS };
    let model = Model::train(&trips(), &names(), &settings).unwrap();
    assert_eq!(model.columns(), ["distance", "fare"]);
    let info = model.info();
    assert_eq!((info.columns[0].missing, info.columns[1].missing), (50, 0));
    assert!((4.0..30.0).contains(&info.columns[1].mean), "{info:?}");
}

#[test]
fn what_cannot_be_trained_is_refused() {
    let train = |rows: &Matrix, settings: &ForestSettings| Model::train(rows, &names(), settings).unwrap_err();
    let empty = Matrix::with_capacity(3, 0);
    assert!(matches!(train(&empty, &SETTINGS), ScoringError::NoRows));
    assert!(matches!(train(&Matrix::with_capacity(2, 0), &SETTINGS), ScoringError::Width { rows: 2, columns: 3 }));
    let settings = ForestSettings { features: Some(vec!["speed".to_owned()]), ..SETTINGS };
    assert!(matches!(train(&trips(), &settings), ScoringError::UnknownColumns { .. }));
}

#[test]
fn one_row_is_enough_to_train_on() {
    let mut rows = Matrix::with_capacity(3, 1);
    rows.push(&[1.0, f64::NAN, 3.0]);
    let model = Model::train(&rows, &names(), &SETTINGS).unwrap();
    assert!(model.score(&rows).contributions.is_empty());
    assert!(model.score(&Matrix::with_capacity(3, 0)).scores.is_empty());
}
