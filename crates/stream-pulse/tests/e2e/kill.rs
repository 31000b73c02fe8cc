//! `kill -9` at any time, and a restart: the same anomalies as an undisturbed run.

use std::path::Path;

use crate::process::{Up, up};
use crate::stored;

const EVENTS: u64 = 40_000;
/// Makes the log the same in every run: fixed times, a fixed seed, a fixed schedule.
const REPRODUCIBLE: [&str; 7] = ["--rate", "10000", "--start", "2026-01-01T00:00:00Z", "--seed", "7", "--json"];

fn run(data: &Path, events: u64) -> Up {
    let events = events.to_string();
    let mut args = REPRODUCIBLE.to_vec();
    args.extend(["--events", &events]);
    Up::start(&mut up(data, &args))
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_and_restarted_it_finds_the_same() {
    let (calm, rough) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let undisturbed = run(calm.path(), EVENTS).summary();
    assert_eq!(undisturbed["events"], EVENTS);
    let expected = stored::anomalies(calm.path()).await;
    assert!(expected.len() > 300, "{} anomalies", expected.len());

    for share in [0.1, 0.3, 0.5, 0.7] {
        let produced = if share > 0.1 { stored::produced(rough.path()).await } else { 0 };
        let up = run(rough.path(), EVENTS - produced);
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share"
        )]
        let enough = (expected.len() as f64 * share) as u64;
        until_stored(rough.path(), enough).await;
        up.signal("KILL");
        let (status, _) = up.end();
        assert!(!status.success(), "it was killed");
    }
    let produced = stored::produced(rough.path()).await;
    assert!(produced < EVENTS, "the last kill came too late to prove anything");
    run(rough.path(), EVENTS - produced).summary();
    assert_eq!(stored::produced(rough.path()).await, EVENTS);

    let found = stored::anomalies(rough.path()).await;
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected);
    }
}

async fn until_stored(data: &Path, enough: u64) {
    // The file is there as soon as the program is; before that there is nothing to read.
    while !data.join("stream-pulse.db").exists() || stored::count(data).await < enough {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}
