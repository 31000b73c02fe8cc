//! Time per event of decoding a taxi trip, without and with derived features.
#![expect(clippy::print_stdout, reason = "a benchmark reports on the standard output")]

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use pulse_features::{Featurizer, Need, UseCaseDir};

/// Events per measured round.
const EVENTS: usize = 20_000;
/// Rounds; the best one counts, so that what else the machine does matters little.
const ROUNDS: usize = 60;

fn main() {
    let usecases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../usecases");
    let dir = UseCaseDir::load(&usecases, "nyc_taxi").expect("the use case loads");
    let sample = dir.sample().expect("the sample is readable").expect("there is a sample");
    let rows = sample.replay().iter().take(4096);
    let events: Vec<Vec<u8>> = rows.map(|row| serde_json::to_vec(&row.event).expect("an object")).collect();
    let bytes: usize = events.iter().map(Vec::len).sum();
    println!("{} bytes an event", bytes / events.len());
    let derived = Featurizer::new(&dir).expect("a featurizer");
    measure("decode and derive", derived, &events);

    let plain = tempfile::tempdir().expect("a temporary folder");
    let folder = plain.path().join("nyc_taxi");
    std::fs::create_dir(&folder).expect("a folder");
    let config = std::fs::read_to_string(dir.path.join("config.yaml")).expect("the configuration");
    let config: String =
        config.lines().filter(|line| !line.contains("features: [")).map(|l| format!("{l}\n")).collect();
    std::fs::write(folder.join("config.yaml"), config).expect("a configuration");
    let dir = UseCaseDir::load(plain.path(), "nyc_taxi").expect("the use case loads without a program");
    measure("decode alone", Featurizer::new(&dir).expect("a featurizer"), &events);
}

fn measure(what: &str, mut featurizer: Featurizer, events: &[Vec<u8>]) {
    let mut row = Vec::new();
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for event in events.iter().cycle().take(EVENTS) {
            black_box(featurizer.decode(event, Need::Event, &mut row)).expect("a real trip is valid");
            black_box(&row);
        }
        best = best.min(start.elapsed().as_secs_f64() / EVENTS as f64);
    }
    println!("{what}: {:.3} us an event", best * 1e6);
}
