//! The shipped use case `nyc_taxi`: its real trips are valid, and its derived features mean what they say.

use std::path::Path;

use pulse_features::{Featurizer, Need, UseCaseDir};

fn taxi() -> UseCaseDir {
    let usecases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../usecases");
    UseCaseDir::load(&usecases, "nyc_taxi").expect("the shipped use case loads")
}

#[test]
fn every_real_trip_is_valid_and_has_all_columns() {
    let dir = taxi();
    let sample = dir.sample().unwrap().unwrap();
    let mut featurizer = Featurizer::new(&dir).unwrap();
    let mut row = Vec::new();
    let mut genuine = 0;
    for trip in sample.training().iter().chain(sample.replay()) {
        let payload = serde_json::to_vec(&trip.event).unwrap();
        featurizer.decode(&payload, Need::Event, &mut row).unwrap();
        assert!(row.iter().all(|value| value.is_finite()), "{row:?}");
        genuine += usize::from(trip.genuine_outlier);
    }
    assert_eq!((sample.training().len(), sample.replay().len(), genuine), (18_617, 18_617, 134));
}

#[test]
fn derived_features_are_what_their_descriptions_say() {
    let mut featurizer = Featurizer::new(&taxi()).unwrap();
    let derived: Vec<_> = featurizer.columns().iter().filter(|column| column.derived).cloned().collect();
    let names: Vec<&str> = derived.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["speed", "fare_ratio", "fare_shortfall", "fare_per_minute", "tip_share", "pace"]);
    assert!(derived.iter().all(|column| !column.description.is_empty()));
    assert_eq!(derived[0].unit.as_deref(), Some("mph"));

    let first = featurizer.column("speed").unwrap();
    let mut derive = |event: &str| {
        let mut row = Vec::new();
        featurizer.decode(event.as_bytes(), Need::Features, &mut row).unwrap();
        row.split_off(first)
    };
    let near = |found: Vec<f64>, expected: [f64; 6]| {
        let close = found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9);
        assert!(close && found.len() == 6, "{found:?}\n{expected:?}");
    };
    // Tip and tolls are missing: the four fields of a prediction are enough.
    let trip = r#"{"trip_duration":1799,"trip_distance":5,"fare_amount":15.5,"total_amount":18.5}"#;
    let tariff = 15.0 + 1799.0 / 120.0;
    near(derive(trip), [10.0, 16.5 / tariff, tariff / 16.5, 1050.0 / 1919.0, 0.0, 1799.0 / 420.0]);
    let refund = r#"{"trip_duration":0,"trip_distance":0,"fare_amount":-10,"tip_amount":-2,"total_amount":-12}"#;
    near(derive(refund), [0.0, 0.4, 2.5, 1.0, -0.4, 0.0]);
    let freak = r#"{"trip_duration":60,"trip_distance":1000000,"fare_amount":0,"tip_amount":500,"total_amount":1}"#;
    near(derive(freak), [150.0, 1.0 / 2_500_003.0, 10.0, 2.0 / 3.0, 100.0, 1.0 / 1_000_002.0]);
}

#[test]
fn one_featurizer_for_each_thread() {
    fn is_send<T: Send + Clone>(_: &T) {}
    is_send(&Featurizer::new(&taxi()).unwrap());
}
