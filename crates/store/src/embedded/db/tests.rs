//! A write transaction that fails, or is abandoned, leaves nothing behind.

use std::future::Future as _;
use std::sync::Arc;
use std::task::{Context, Waker};

use pulse_core::NewRecord;
use pulse_core::ports::EventProducer as _;
use pulse_core::{Classify as _, ErrorClass};
use pulse_testkit::{FixedClock, TempStore, record};
use sqlx::Executor as _;

use crate::EmbeddedStore;

async fn store(place: &TempStore) -> anyhow::Result<EmbeddedStore> {
    let store = EmbeddedStore::open(place.file(), Arc::new(FixedClock::default())).await?;
    store.create_topic("events", 1).await?;
    Ok(store)
}

/// Records that do not compress.
fn noise() -> Vec<NewRecord> {
    let mut state = 1_u64;
    let mut draw = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b' ' + state.to_be_bytes()[0] % 95)
    };
    (0..8).map(|_| record("events", 0, &(0..8000).map(|_| draw()).collect::<String>())).collect()
}

#[tokio::test]
async fn a_full_disk_is_a_reason_to_wait_and_writing_goes_on_after_it() -> anyhow::Result<()> {
    let place = TempStore::new()?;
    let store = store(&place).await?;
    let mut producer = store.producer();
    producer.append(noise()).await?;
    // SQLite's own limit ends in the same error as a full disk does.
    let mut txn = store.0.db.begin().await?;
    txn.conn().execute("PRAGMA max_page_count = 1").await?;
    txn.finish(Ok(())).await?;
    let error = producer.append(noise()).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Retry);
    assert!(error.to_string().contains("full") && error.to_string().contains("pulse.db"), "{error}");
    assert_eq!(producer.last_records("events").await?[0].offset, 7);
    let mut txn = store.0.db.begin().await?;
    txn.conn().execute("PRAGMA max_page_count = 1000000").await?;
    txn.finish(Ok(())).await?;
    producer.append(noise()).await?;
    assert_eq!(producer.last_records("events").await?[0].offset, 15);
    Ok(())
}

#[tokio::test]
async fn an_abandoned_append_is_rolled_back_or_whole() -> anyhow::Result<()> {
    let place = TempStore::new()?;
    let store = store(&place).await?;
    let mut producer = store.producer();
    producer.append(noise()).await?;
    for polls in 1..40 {
        let mut append = Box::pin(producer.append(vec![record("events", 0, "short")]));
        for _ in 0..polls {
            if append.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(append);
        let before = producer.last_records("events").await?[0].offset;
        producer.append(vec![record("events", 0, "after")]).await?;
        let after = producer.last_records("events").await?;
        assert_eq!(after[0].payload, "after");
        assert!((1..=2).contains(&(after[0].offset - before)), "an abandoned append may still have been committing");
    }
    Ok(())
}
