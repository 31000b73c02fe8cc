//! Large records are read in batches of a bounded size.

use std::sync::Arc;

use bytes::Bytes;
use pulse_core::NewRecord;
use pulse_core::ports::{EventProducer as _, EventSource as _};
use pulse_store::EmbeddedStore;
use pulse_testkit::contract::{assigned, read};
use pulse_testkit::{FixedClock, TempStore, record};

const MIB: usize = 1 << 20;

#[tokio::test]
async fn a_batch_ends_once_its_payloads_reach_four_mebibytes() -> anyhow::Result<()> {
    let place = TempStore::new()?;
    let store = EmbeddedStore::open(place.file(), Arc::new(FixedClock::default())).await?;
    store.create_topic("events", 1).await?;
    let sizes = [MIB, MIB, MIB, MIB, 9 * MIB, 1, 2 * MIB, 2 * MIB, 3];
    let records = sizes.map(|size| NewRecord { payload: Bytes::from(vec![b'x'; size]), ..record("events", 0, "") });
    store.producer().append(records.to_vec()).await?;
    // Small records share a blob, so that a batch also ends inside of one.
    let half = Bytes::from(vec![b'y'; 100 << 10]);
    let small = NewRecord { payload: half, ..record("events", 0, "") };
    store.producer().append(vec![small; 100]).await?;
    let mut source = store.source("readers", "events");
    let batches = read(&mut source, 109, 2048).await?;
    assert_eq!(batches.iter().take(3).map(|batch| batch.records.len()).collect::<Vec<_>>(), [4, 1, 3]);
    assert!(batches.iter().flat_map(|batch| &batch.records).map(|record| record.offset).eq(0..109));
    for batch in &batches {
        let (last, before) = batch.records.split_last().expect("no batch is empty");
        let bytes: usize = before.iter().map(|record| record.payload.len()).sum();
        assert!(bytes < 4 * MIB, "{bytes} bytes before the last record");
        assert_eq!(batch.next_offset, last.offset + 1);
    }
    source.seek(0, 3).await?;
    assert_eq!(read(&mut source, 106, 2048).await?[0].records.len(), 2, "what lies before a seek does not count");
    Ok(())
}

#[tokio::test]
async fn an_abandoned_poll_loses_no_large_record() -> anyhow::Result<()> {
    let place = TempStore::new()?;
    let store = EmbeddedStore::open(place.file(), Arc::new(FixedClock::default())).await?;
    store.create_topic("events", 1).await?;
    let mut source = store.source("readers", "events");
    assigned(&mut source).await?;
    drop(tokio::time::timeout(std::time::Duration::ZERO, source.poll(10)).await);
    let large = NewRecord { payload: Bytes::from(vec![b'x'; 5 * MIB]), ..record("events", 0, "") };
    store.producer().append(vec![large.clone(), large]).await?;
    assert_eq!(read(&mut source, 2, 10).await?.len(), 2);
    Ok(())
}
