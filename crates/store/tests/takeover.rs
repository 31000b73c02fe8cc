//! What the embedded log keeps beyond the contract of all logs: one member has all of a group, and offsets have no holes.

use std::sync::Arc;

use pulse_core::ports::{EventProducer as _, EventSource as _, Polled};
use pulse_store::EmbeddedStore;
use pulse_testkit::contract::{assigned, read};
use pulse_testkit::{FixedClock, TempStore, record};

const TOPIC: &str = "events";

async fn opened(place: &TempStore) -> anyhow::Result<EmbeddedStore> {
    let store = EmbeddedStore::open(place.file(), Arc::new(FixedClock::default())).await?;
    store.create_topic(TOPIC, 1).await?;
    Ok(store)
}

#[tokio::test]
async fn two_members_never_both_keep_a_partition() -> anyhow::Result<()> {
    let place = TempStore::new()?;
    let store = opened(&place).await?;
    let mut old = store.source("readers", TOPIC);
    assert_eq!(assigned(&mut old).await?, [0]);
    let mut new = store.source("readers", TOPIC);
    let mut other = store.source("others", TOPIC);
    assert_eq!(assigned(&mut new).await?, [0]);
    assert_eq!(assigned(&mut other).await?, [0]);
    for _ in 0..200 {
        match old.poll(10).await? {
            Polled::Revoked(partitions) => {
                assert_eq!(partitions, [0]);
                assert!(matches!(new.poll(10).await?, Polled::Idle));
                assert!(matches!(other.poll(10).await?, Polled::Idle));
                return Ok(());
            }
            Polled::Idle => {}
            found => anyhow::bail!("expected a revocation, not {found:?}"),
        }
    }
    anyhow::bail!("the older member was never told")
}

#[tokio::test]
async fn offsets_have_no_holes() -> anyhow::Result<()> {
    let place = TempStore::new()?;
    let store = opened(&place).await?;
    for call in 0..7 {
        store.producer().append((0..call).map(|i| record(TOPIC, 0, &i.to_string())).collect()).await?;
    }
    let batches = read(&mut store.source("readers", TOPIC), 21, 5).await?;
    assert!(batches.iter().flat_map(|batch| &batch.records).map(|record| record.offset).eq(0..21));
    Ok(())
}
