//! Time per event of decoding a taxi trip: alone, with derived features, and with rules.
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

    let config = std::fs::read_to_string(dir.path.join("config.yaml")).expect("the configuration");
    let program = dir.program.as_deref();
    // Detectors and simulator may name derived columns, and matter nothing here.
    let fields = config.split("\ndetectors:").next().unwrap_or_default();
    measure("decode alone", load(fields, None), &events);
    let rules =
        "rules: [total_amount + 2000 >= fare_amount, trip_distance <= trip_duration * 400 + 1e6, speed <= 150]\n";
    measure("decode, derive and three rules", load(&format!("{fields}\n{rules}"), program), &events);
}

/// The featurizer of a taxi use case with these files.
fn load(config: &str, program: Option<&str>) -> Featurizer {
    let root = tempfile::tempdir().expect("a temporary folder");
    let folder = root.path().join("nyc_taxi");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("config.yaml"), config).expect("a configuration");
    if let Some(program) = program {
        std::fs::write(folder.join("features.vrl"), program).expect("a program");
    }
    let dir = UseCaseDir::load(root.path(), "nyc_taxi").unwrap_or_else(|error| panic!("{error}"));
    Featurizer::new(&dir).expect("a featurizer")
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
