//! What retention drops, and what it never does.

use std::time::Duration;

use jiff::SignedDuration;
use pulse_core::Anomaly;
use pulse_core::ports::AnomalyQuery as _;
use pulse_store::PostgresRetained;
use pulse_testkit::anomaly;

use crate::fixture::Fixture;

const DAY: Duration = Duration::from_secs(86_400);
const PARTITIONS: &str = "SELECT string_agg(inhrelid::regclass::text, ' ' ORDER BY 1) FROM pg_inherits \
                          WHERE inhparent = 'anomalies'::regclass AND inhrelid::regclass::text LIKE 'anomalies_2%'";

/// 100 anomalies, of an event and a find so many days later.
fn rows(from: u64, event_days: i64, found_days: i64) -> Vec<Anomaly> {
    let later = |time, days| time + SignedDuration::from_hours(24 * days);
    let moved = |row: Anomaly| Anomaly {
        event_time: later(row.event_time, event_days),
        detected_at: later(row.detected_at, found_days),
        ..row
    };
    (from..from + 100).map(anomaly).map(moved).collect()
}

/// Three days with 100 anomalies each, and 100 of old events that were found on the third.
async fn filled() -> anyhow::Result<Fixture> {
    let fixture = Fixture::new().await?;
    for (n, (event_days, found_days)) in (0..).zip([(0, 0), (1, 1), (2, 2), (-150, 2), (0, 2)]) {
        fixture.add(&rows(100 * n, event_days, found_days)).await?;
    }
    fixture.clock.advance(2 * 86_400_000);
    Ok(fixture)
}

fn count(partitions: u64, anomalies: u64) -> PostgresRetained {
    let mut count = PostgresRetained::default();
    (count.partitions, count.anomalies) = (partitions, anomalies);
    count
}

#[tokio::test]
async fn the_time_of_finding_decides() -> anyhow::Result<()> {
    let fixture = filled().await?;
    let store = &fixture.store;
    assert_eq!(store.retain(DAY * 3).await?, count(0, 0));
    // The first day has rows that were found later.
    assert_eq!(store.retain(DAY + DAY / 2).await?, count(0, 100));
    assert_eq!(fixture.ask(PARTITIONS)?, "anomalies_20260528 anomalies_20260529 anomalies_20260530");
    fixture.clock.advance(86_400_000 / 2);
    assert_eq!(store.retain(DAY).await?, count(1, 100));
    assert_eq!(fixture.ask(PARTITIONS)?, "anomalies_20260528 anomalies_20260530");
    fixture.clock.advance(3 * 86_400_000);
    assert_eq!(store.retain(DAY).await?, count(2, 300));
    assert_eq!(store.retain(DAY).await?, count(0, 0));
    assert_eq!(store.query().since(0, 10).await?.len(), 0);
    // The partition of a day that was dropped may be needed again, though this writer had made it once.
    fixture.add(&rows(600, 0, 6)).await?;
    assert_eq!(fixture.ask("SELECT count(*) FROM anomalies")?, "100");
    Ok(())
}

#[tokio::test]
async fn one_at_a_time_does_it() -> anyhow::Result<()> {
    let fixture = filled().await?;
    fixture.clock.advance(10 * 86_400_000);
    let tasks: Vec<_> = (0..4)
        .map(|_| fixture.store.clone())
        .map(|store| tokio::spawn(async move { store.retain(DAY).await }))
        .collect();
    let mut total = count(0, 0);
    for task in tasks {
        let dropped = task.await??;
        total.partitions += dropped.partitions;
        total.anomalies += dropped.anomalies;
    }
    assert_eq!(total, count(3, 500));
    Ok(())
}

#[tokio::test]
async fn a_partition_in_use_is_emptied_and_goes_another_time() -> anyhow::Result<()> {
    let fixture = filled().await?;
    fixture.clock.advance(10 * 86_400_000);
    let reader = fixture.reader("anomalies").await?;
    assert_eq!(fixture.store.retain(DAY).await?, count(0, 500));
    drop(reader);
    assert_eq!(fixture.store.retain(DAY).await?, count(3, 0));
    Ok(())
}
