//! `kill -9` at any time, and a restart: the same anomalies as an undisturbed run.

use std::path::Path;
use std::time::Instant;

use crate::process::{PATIENCE, Up, up};
use crate::stored;

/// Makes the log the same in every run: event times and schedule fixed from the first event on, and a fixed seed.
const REPRODUCIBLE: [&str; 7] = ["--rate", "5000", "--start", "2026-01-01T00:00:00Z", "--seed", "7", "--json"];
/// Anomalies stored when the run is killed, each time.
const KILLS: [u64; 4] = [20, 75, 150, 220];

fn run(data: &Path, more: &[&str]) -> Up {
    Up::start(&mut up(data, &[&REPRODUCIBLE, more].concat()))
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_and_restarted_it_finds_the_same() {
    let (calm, rough) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for enough in KILLS {
        let mut up = run(rough.path(), &[]);
        until_stored(&mut up, rough.path(), enough).await;
        up.signal("KILL");
        let (status, _) = up.end();
        assert!(!status.success(), "it was killed");
    }
    // One event more, and whatever the kills left unjudged.
    run(rough.path(), &["--events", "1"]).summary();
    let produced = stored::produced(rough.path()).await;
    let found = stored::anomalies(rough.path()).await;
    assert!(found.len() as u64 >= KILLS[KILLS.len() - 1], "{} anomalies", found.len());

    let undisturbed = run(calm.path(), &["--events", &produced.to_string()]).summary();
    assert_eq!(undisturbed["events"], produced);
    let expected = stored::anomalies(calm.path()).await;
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected);
    }
}

async fn until_stored(up: &mut Up, data: &Path, enough: u64) {
    let started = Instant::now();
    // Before the program has made the file there is nothing to read.
    while !data.join("stream-pulse.db").exists() || stored::count(data).await < enough {
        up.still_runs();
        assert!(started.elapsed() < PATIENCE, "not {enough} anomalies after {PATIENCE:?}");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}
