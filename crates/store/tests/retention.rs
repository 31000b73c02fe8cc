//! What retention drops, and what it never does.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use pulse_core::Anomaly;
use pulse_core::ports::{AnomalyQuery as _, AnomalyStore as _, Commit, Committer as _, EventProducer as _};
use pulse_core::ports::{Backlog, EventSource as _, OffsetSpan, TopicReader as _};
use pulse_store::{EmbeddedStore, Retention};
use pulse_testkit::contract::{assigned, read, read_backlog, read_on, restore};
use pulse_testkit::{FixedClock, TempStore, anomaly, record, taxi_trip};

const HOUR: Duration = Duration::from_secs(3600);

/// 10 batches of 100 records in one partition, an hour apart.
async fn filled(place: &TempStore) -> anyhow::Result<(EmbeddedStore, Arc<FixedClock>)> {
    let clock = Arc::new(FixedClock::default());
    let store = EmbeddedStore::open(place.file(), clock.clone()).await?;
    store.create_topic("events", 1).await?;
    let topic: Arc<str> = Arc::from("events");
    for batch in 0..10 {
        store.producer().append((0..100).map(|i| taxi_trip(&topic, batch * 100 + i)).collect()).await?;
        clock.advance(3_600_000);
    }
    Ok((store, clock))
}

async fn commit(store: &EmbeddedStore, group: &str, next_offset: u64) -> anyhow::Result<()> {
    let committer = store.committer(group, "events", "state");
    restore(&committer, &[0]).await?;
    let commit = Commit { partition: 0, next_offset, ..Commit::default() };
    Ok(committer.commit(&[commit]).await.into_iter().collect::<Result<_, _>>()?)
}

/// The first offset that is left.
async fn start(store: &EmbeddedStore) -> anyhow::Result<u64> {
    let mut source = store.source("probe", "events");
    assigned(&mut source).await?;
    source.seek(0, 999).await?;
    read(&mut source, 1, 1000).await?;
    source.seek(0, 0).await?;
    let left = loop {
        if let pulse_core::ports::Polled::Records(batch) = source.poll(1).await? {
            break batch.records[0].offset;
        }
    };
    Ok(left)
}

#[tokio::test]
async fn only_what_every_group_has_committed_goes() -> anyhow::Result<()> {
    let place = TempStore::new()?;
    let (store, _) = filled(&place).await?;
    let everything = Retention { max_bytes: Some(0), ..Retention::default() };
    assigned(&mut store.source("slow", "events")).await?;
    assert_eq!(store.retain(everything).await?.batches, 0, "nobody has committed yet");
    commit(&store, "fast", 1000).await?;
    commit(&store, "slow", 450).await?;
    assert_eq!(store.retain(everything).await?.batches, 4, "the fifth is needed in part");
    assert_eq!(start(&store).await?, 400);
    commit(&store, "slow", 1000).await?;
    assert_eq!(store.retain(everything).await?.batches, 5, "the last one stays");
    assert_eq!(start(&store).await?, 900);
    assert_eq!(store.producer().last_records("events").await?[0].offset, 999);
    store.producer().append(vec![record("events", 0, "new")]).await?;
    assert_eq!(store.producer().last_records("events").await?[0].offset, 1000);
    Ok(())
}

#[tokio::test]
async fn age_and_size_are_limits_of_their_own() -> anyhow::Result<()> {
    let place = TempStore::new()?;
    let (store, _) = filled(&place).await?;
    commit(&store, "readers", 1000).await?;
    assert_eq!(store.retain(Retention::default()).await?.batches, 0);
    let aged = Retention { max_age: Some(HOUR * 8), ..Retention::default() };
    let dropped = store.retain(aged).await?;
    assert_eq!((dropped.batches, start(&store).await?), (2, 200));
    let a_batch = dropped.bytes / 2;
    let small = Retention { max_bytes: Some(a_batch * 4 + a_batch / 2), ..Retention::default() };
    assert_eq!((store.retain(small).await?.batches, start(&store).await?), (4, 600));
    assert_eq!(store.retain(small).await?.batches, 0);
    Ok(())
}

#[tokio::test]
async fn a_reader_behind_the_start_goes_on_there() -> anyhow::Result<()> {
    let place = TempStore::new()?;
    let (store, _) = filled(&place).await?;
    commit(&store, "readers", 1000).await?;
    store.retain(Retention { max_bytes: Some(0), ..Retention::default() }).await?;
    let batches = read(&mut store.source("late", "events"), 100, 1000).await?;
    assert_eq!((batches[0].records[0].offset, batches[0].lag()), (900, 0));
    Ok(())
}

#[tokio::test]
async fn a_bystander_reads_what_is_left_and_holds_nothing_back() -> anyhow::Result<()> {
    let place = TempStore::new()?;
    let (store, _) = filled(&place).await?;
    let mut early = store.reader("events");
    read_on(&mut early, 10, 10).await?;
    commit(&store, "readers", 1000).await?;
    let everything = Retention { max_bytes: Some(0), ..Retention::default() };
    assert_eq!(store.retain(everything).await?.batches, 9);
    let mut late = store.reader("events");
    assert_eq!(read_backlog(&mut late, 30).await?[0].records[0].offset, 900);
    assert_eq!(late.backlog(), Some(Backlog { total: 100, read: 100 }));
    // Of what was there when it began, everything goes: it must not wait for that.
    store.producer().append(vec![record("events", 0, "new")]).await?;
    commit(&store, "readers", 1001).await?;
    assert_eq!(store.retain(everything).await?.batches, 1);
    let held = read_backlog(&mut early, 1000).await?;
    assert!(held.iter().flat_map(|batch| &batch.records).all(|record| record.offset < 1000));
    assert_eq!(early.backlog(), Some(Backlog { total: 1000, read: 1000 }));
    assert_eq!(read_on(&mut early, 1, 10).await?[0].records[0].offset, 1000);
    Ok(())
}

#[tokio::test]
async fn old_anomalies_go_and_the_file_shrinks() -> anyhow::Result<()> {
    let place = TempStore::new()?;
    let clock = Arc::new(FixedClock::default());
    let store = EmbeddedStore::open(place.file(), clock.clone()).await?;
    let rows: Vec<_> = (0..5000).map(anomaly).collect();
    let span = OffsetSpan { topic: "anomalies".into(), partition: 0, from: 0, to: 5000 };
    store.anomaly_store().store(&rows, &span).await?;
    clock.advance(5_000_000);
    let policy = Retention { anomaly_max_age: Some(Duration::from_secs(1000)), ..Retention::default() };
    assert_eq!(store.retain(policy).await?.anomalies, 4000);
    let left = store.query().since(0, 10_000).await?;
    assert_eq!((left.len(), left[0].anomaly.offset), (1000, 4000));
    let full = 5000 * 1000;
    store.close().await;
    let size = std::fs::metadata(place.file())?.len();
    assert!(size < full / 2, "{size} bytes are left");
    Ok(())
}

#[tokio::test]
async fn dead_letters_take_part_though_nobody_reads_them() -> anyhow::Result<()> {
    let place = TempStore::new()?;
    let (store, clock) = filled(&place).await?;
    commit(&store, "readers", 1000).await?;
    let events = store.retain(Retention { max_age: Some(HOUR * 8), ..Retention::default() }).await?.bytes / 2 * 8;
    store.create_topic("events.dlq", 1).await?;
    let topic: Arc<str> = Arc::from("events.dlq");
    for batch in 0..100 {
        store.producer().append((0..100).map(|i| taxi_trip(&topic, batch * 100 + i)).collect()).await?;
    }
    clock.advance(3_600_000);
    store.producer().append(vec![record("events", 0, "new")]).await?;
    commit(&store, "readers", 1000).await?;
    // The oldest go first, wherever they stand: the events, but for those not committed, and then most dead letters.
    let small = Retention { max_bytes: Some(events), ..Retention::default() };
    let dropped = store.retain(small).await?.batches;
    assert!((80..108).contains(&dropped), "{dropped} batches");
    assert_eq!(start(&store).await?, 1000, "the last batch was not committed");
    store.retain(Retention { max_age: Some(HOUR / 2), ..Retention::default() }).await?;
    let left = read(&mut store.source("probe", "events.dlq"), 100, 1000).await?;
    assert_eq!(left[0].records[0].offset, 9900, "only the last batch of a partition stays");
    Ok(())
}

#[tokio::test]
async fn anomalies_of_old_events_are_kept_as_long_as_others() -> anyhow::Result<()> {
    let place = TempStore::new()?;
    let clock = Arc::new(FixedClock::default());
    let store = EmbeddedStore::open(place.file(), clock.clone()).await?;
    let months = SignedDuration::from_hours(24 * 150);
    let rows = (0..1000).map(anomaly).map(|row| Anomaly { event_time: row.event_time - months, ..row });
    let span = OffsetSpan { topic: "anomalies".into(), partition: 0, from: 0, to: 1000 };
    store.anomaly_store().store(&rows.collect::<Vec<_>>(), &span).await?;
    let policy = Retention { anomaly_max_age: Some(Duration::from_secs(2000)), ..Retention::default() };
    clock.advance(1_000_000);
    assert_eq!(store.retain(policy).await?.anomalies, 0);
    clock.advance(1_600_000);
    assert_eq!(store.retain(policy).await?.anomalies, 600);
    assert_eq!(store.query().since(0, 1).await?[0].anomaly.offset, 600);
    Ok(())
}
