//! How well forests find and explain anomalies whose difficulty is known.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use linfa::Dataset;
use linfa::traits::{Fit, Predict};
use ndarray::{Array2, ArrayView1};
use pulse_forest::{ForestError, ForestParams, IsolationForest};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

fn fit(rows: &Array2<f64>, seed: u64) -> IsolationForest {
    ForestParams::default().seed(seed).fit(&Dataset::from(rows.clone())).unwrap()
}

/// A standard normal draw, by Box and Muller.
fn normal(rng: &mut Xoshiro256PlusPlus) -> f64 {
    let (u, v): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

/// The chance that a row of `positive` scores above one of `negative`.
fn auc(negative: &[f64], positive: &[f64]) -> f64 {
    let wins =
        |p: f64| negative.iter().map(|&n| f64::from(u8::from(p > n)) + 0.5 * f64::from(u8::from(p == n))).sum::<f64>();
    positive.iter().map(|&p| wins(p)).sum::<f64>() / (negative.len() * positive.len()) as f64
}

/// Normal rows in `columns` columns, of which the last `anomalies` are moved by `distance` in every column.
fn shifted(columns: usize, anomalies: usize, distance: f64, seed: u64) -> Array2<f64> {
    const ROWS: usize = 2000;
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    Array2::from_shape_fn((ROWS, columns), |(row, _)| {
        normal(&mut rng) + if row >= ROWS - anomalies { distance } else { 0.0 }
    })
}

fn auc_of_the_last(rows: &Array2<f64>, anomalies: usize) -> f64 {
    let scores = fit(rows, 3).predict(rows).to_vec();
    let (negative, positive) = scores.split_at(scores.len() - anomalies);
    auc(negative, positive)
}

#[test]
fn the_area_under_the_curve_follows_the_difficulty() {
    // The best detector knows the distribution and goes by the distance from the middle; its area is computed alike.
    for (distance, lowest) in [(0.0, 0.4), (1.5, 0.8), (3.0, 0.985), (6.0, 0.999)] {
        let rows = shifted(4, 20, distance, 11);
        let distances: Vec<f64> = rows.rows().into_iter().map(|row: ArrayView1<'_, f64>| row.dot(&row)).collect();
        let best = auc(&distances[..1980], &distances[1980..]);
        let area = auc_of_the_last(&rows, 20);
        assert!(area >= lowest, "{area} at distance {distance}");
        assert!((area - best).abs() < 0.05, "{area} is far from the {best} that can be had at distance {distance}");
    }
}

#[test]
fn a_row_between_two_clusters_stands_out() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(5);
    let rows = Array2::from_shape_fn((1000, 2), |(row, _)| match row {
        980.. => normal(&mut rng) * 0.1,
        _ if row % 2 == 0 => 10.0 + normal(&mut rng),
        _ => -10.0 + normal(&mut rng),
    });
    let area = auc_of_the_last(&rows, 20);
    assert!(area > 0.95, "{area}");
}

#[test]
fn the_column_that_was_tampered_with_is_named_first() {
    const COLUMNS: usize = 5;
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(17);
    let mut row = || -> [f64; COLUMNS] {
        // Scales differ, and the second column follows the first.
        let base = normal(&mut rng);
        [base, 20.0 * base + 4.0 * normal(&mut rng), 1e3 * normal(&mut rng), rng.random(), normal(&mut rng).exp()]
    };
    let rows = Array2::from(std::iter::repeat_with(&mut row).take(4000).collect::<Vec<_>>());
    let forest = ForestParams::default().sample_size(1024).fit(&Dataset::from(rows)).unwrap();
    let strengths = [8.0, 160.0, 8e3, 4.0, 60.0];
    let (mut first, mut tried) = (0, 0);
    for _ in 0..60 {
        for (column, strength) in strengths.into_iter().enumerate() {
            let mut tampered = row();
            tampered[column] += strength;
            let shares = forest.contributions(&tampered);
            let highest = shares.iter().copied().fold(0.0, f64::max);
            first += u32::from(shares[column] == highest);
            tried += 1;
        }
    }
    assert!(f64::from(first) >= 0.9 * f64::from(tried), "{first} of {tried}");
}

#[test]
fn missing_values_alone_do_not_make_a_row_unusual() {
    let rows = shifted(3, 0, 0.0, 2);
    let forest = fit(&rows, 1);
    assert!(forest.score_one(&[f64::NAN, 0.0, 0.0]) < 0.5);
    assert!(forest.score_one(&[f64::NAN; 3]) < 0.5);
    assert!(forest.score_one(&[f64::NAN, 9.0, 9.0]) > 0.6);
}

#[test]
fn degenerate_rows_get_the_average_score() {
    let constant = Array2::from_elem((100, 3), 7.0);
    assert!(fit(&constant, 1).predict(&constant).iter().all(|&score| score == 0.5));
    let single = Array2::from_elem((1, 1), 7.0);
    assert_eq!(fit(&single, 1).score_one(&[1e300]), 0.5);
    let unknown = Array2::from_elem((10, 2), f64::NAN);
    assert_eq!(fit(&unknown, 1).score_one(&[f64::INFINITY, 0.0]), 0.5);
}

#[test]
fn a_duplicate_column_shares_the_blame() {
    let rows = shifted(1, 0, 0.0, 2);
    let doubled = Array2::from_shape_fn((rows.nrows(), 2), |(row, _)| rows[[row, 0]]);
    let shares = fit(&doubled, 1).contributions(&[9.0, 9.0]);
    assert!((shares[0] - 0.5).abs() < 0.1, "{shares:?}");
}

#[test]
fn what_cannot_be_fitted_is_refused() {
    let fit = |rows: Array2<f64>| ForestParams::default().fit(&Dataset::from(rows));
    assert!(matches!(fit(Array2::zeros((0, 3))), Err(ForestError::NoRows)));
    assert!(matches!(fit(Array2::zeros((3, 0))), Err(ForestError::NoColumns)));
    assert!(matches!(fit(Array2::zeros((3, 1024))), Err(ForestError::TooManyColumns(1024))));
    assert!(fit(Array2::zeros((3, 1023))).is_ok());
}

#[test]
fn scores_are_the_same_on_every_machine() {
    let rows =
        Dataset::from(Array2::from_shape_fn((200, 3), |(row, column)| ((row * 37 + column * 59) % 101) as f64 / 7.0));
    let bits = |params: ForestParams| {
        let forest = params.seed(42).fit(&rows).unwrap();
        [[0.0, 0.0, 0.0], [7.0, 7.0, 7.0], [20.0, f64::NAN, 1.0]].map(|row| forest.score_one(&row).to_bits())
    };
    assert_eq!(bits(ForestParams::default()), [4604094337911118583, 4602992561037447903, 4603228563696700608]);
    assert_eq!(bits(ForestParams::accurate()), [4603772745242019363, 4603171432941131831, 4602737291472925562]);
}

#[test]
fn values_at_the_ends_of_the_range_are_told_apart() {
    let rows = Array2::from_shape_fn((64, 2), |(row, _)| if row < 60 { -1e39 } else { 1e39 });
    for params in [ForestParams::default(), ForestParams::accurate()] {
        let forest = params.fit(&Dataset::from(rows.clone())).unwrap();
        assert!(forest.score_one(&[1e39, 1e39]) > forest.score_one(&[-1e39, -1e39]) + 0.05);
    }
}

/// Real trips: duration, distance, fare, tip, total, speed, and fare per mile.
fn trips() -> Array2<f64> {
    let sample = std::fs::read_to_string("../../usecases/nyc_taxi/sample.csv").unwrap();
    let trips = sample.lines().skip(1).step_by(4).map(|line| {
        let cells: Vec<f64> = line.split(',').skip(4).map(|cell| cell.parse().unwrap_or(f64::NAN)).collect();
        let [duration, distance, fare, tip, _tolls, total, ..] = cells[..] else { panic!("{line}") };
        [duration, distance, fare, tip, total, 3600.0 * distance / duration.max(1.0), fare / distance.max(0.05)]
    });
    Array2::from(trips.collect::<Vec<_>>())
}

#[test]
fn what_was_tampered_with_in_a_real_trip_is_named_first() {
    let trips = trips();
    let columns = trips.ncols();
    // One trip in a thousand has more.
    let high: Vec<f64> = trips
        .columns()
        .into_iter()
        .map(|column| {
            let mut sorted = column.to_vec();
            sorted.sort_by(f64::total_cmp);
            sorted[sorted.len() * 999 / 1000]
        })
        .collect();
    for params in [ForestParams::default(), ForestParams::default().sample_size(4096), ForestParams::accurate()] {
        let forest = params.fit(&Dataset::from(trips.clone())).unwrap();
        let (mut first, mut tried) = (0, 0);
        for row in trips.rows().into_iter().step_by(37) {
            for column in 0..columns {
                let mut tampered = row.to_vec();
                tampered[column] = high[column] * 1.5;
                let shares = forest.contributions(&tampered);
                let highest = shares.iter().copied().fold(0.0, f64::max);
                first += u32::from(shares[column] == highest);
                tried += 1;
            }
        }
        assert!(f64::from(first) >= 0.9 * f64::from(tried), "{first} of {tried}: {params:?}");
    }
}
