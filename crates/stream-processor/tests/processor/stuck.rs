//! A partition that cannot be committed for long.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use prometheus::Registry;
use pulse_core::NewRecord;
use pulse_core::ports::{Commit, Committer, EventProducer as _, EventSource, Polled, Restored};
use pulse_store::{EmbeddedCommitter, EmbeddedSource, EmbeddedStore, StoreError};
use pulse_stream_processor::Processor;
use tokio_util::sync::CancellationToken;

use crate::setup::{PATIENCE, committer, contents, event, processor, store, use_case};

/// Bytes of an event that is large.
const LARGE: usize = 100_000;
const LARGE_EVENTS: u64 = 1500;
const EVENTS: u64 = 700;

/// Takes nothing of a partition with a large output until it is mended.
struct Stuck {
    inner: EmbeddedCommitter,
    mended: CancellationToken,
}

impl Committer for Stuck {
    const TOGETHER: bool = false;
    type Error = StoreError;

    async fn restore(&self, partitions: &[u32], each: impl FnMut(u32, Result<Restored, StoreError>) + Send) {
        self.inner.restore(partitions, each).await;
    }

    async fn commit(&self, commits: &[Commit]) -> Vec<Result<(), StoreError>> {
        if commits.iter().flat_map(|commit| &commit.outputs).any(|output| output.payload.len() >= LARGE) {
            self.mended.cancelled().await;
        }
        self.inner.commit(commits).await
    }

    fn hand_over(&self, partitions: &[u32]) {
        self.inner.hand_over(partitions);
    }

    fn release(&self, partitions: &[u32]) {
        self.inner.release(partitions);
    }
}

/// Counts how often reading was paused, and what was read.
struct Counting {
    inner: EmbeddedSource,
    pauses: Arc<AtomicU64>,
    records: Arc<AtomicU64>,
}

impl EventSource for Counting {
    type Error = StoreError;

    async fn poll(&mut self, max_records: usize) -> Result<Polled, StoreError> {
        let polled = self.inner.poll(max_records).await?;
        if let Polled::Records(batch) = &polled {
            self.records.fetch_add(batch.records.len() as u64, Ordering::Relaxed);
        }
        Ok(polled)
    }

    async fn seek(&mut self, partition: u32, offset: u64) -> Result<(), StoreError> {
        self.inner.seek(partition, offset).await
    }

    async fn seek_to_beginning(&mut self, partition: u32) -> Result<(), StoreError> {
        self.inner.seek_to_beginning(partition).await
    }

    fn pause(&mut self, partitions: &[u32]) {
        self.pauses.fetch_add(1, Ordering::Relaxed);
        self.inner.pause(partitions);
    }

    async fn leave(&mut self) -> bool {
        self.inner.leave().await
    }
}

/// Large events of one device that are no JSON, and others behind them.
async fn fill(store: &EmbeddedStore) {
    let payload = Bytes::from(vec![b'x'; LARGE]);
    let large = NewRecord { payload, ..event(2) };
    for _ in 0..LARGE_EVENTS / 100 {
        store.producer().append(vec![large.clone(); 100]).await.unwrap();
    }
    store.producer().append((0..EVENTS).map(event).collect()).await.unwrap();
}

/// How many records stand in partitions without large ones.
async fn others(store: &EmbeddedStore) -> u64 {
    let mut source = store.source("others", "raw_events");
    let (mut records, mut is_large) = ([0; 4], [false; 4]);
    loop {
        match source.poll(1000).await.unwrap() {
            Polled::Idle => break,
            Polled::Records(batch) => {
                let partition = batch.partition as usize;
                records[partition] += batch.records.len() as u64;
                is_large[partition] |= batch.records.iter().any(|record| record.payload.len() >= LARGE);
            }
            Polled::Assigned(_) | Polled::Revoked(_) => {}
        }
    }
    records.iter().zip(is_large).filter(|(_, is_large)| !is_large).map(|(records, _)| records).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_is_stuck_is_not_read_meanwhile_and_then_from_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let dir = use_case(folder.path());
    let store = store(&folder.path().join("log.db")).await;
    fill(&store).await;
    let others = others(&store).await;
    let mended = CancellationToken::new();
    let stuck = Stuck { inner: committer(&store), mended: mended.clone() };
    let Processor { source, committer, scorer, plan, featurizer, options, clock, metrics, progress, health } =
        processor(&store, &dir, stuck, false, &Registry::new());
    let (pauses, records) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
    let source = Counting { inner: source, pauses: Arc::clone(&pauses), records: Arc::clone(&records) };
    let (stop, mut processed) = (CancellationToken::new(), progress.processed());
    let processor =
        Processor { source, committer, scorer, plan, featurizer, options, clock, metrics, progress, health };
    let running = tokio::spawn(processor.run(stop.clone()));
    tokio::time::timeout(PATIENCE, async {
        // The others go on; the first pause is that of what is being taken over.
        processed.wait_for(|processed| *processed >= others).await.unwrap();
        while pauses.load(Ordering::Relaxed) < 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
    assert!(records.load(Ordering::Relaxed) < LARGE_EVENTS + EVENTS, "all was read");
    mended.cancel();
    // All that was not read is read before the end.
    stop.cancel();
    tokio::time::timeout(PATIENCE, running).await.unwrap().unwrap().unwrap();
    assert_eq!(*processed.borrow(), LARGE_EVENTS + EVENTS);
    // One event of the others is no JSON.
    assert_eq!(contents(&store, "raw_events.dlq").await.len() as u64, LARGE_EVENTS + 1);
}
