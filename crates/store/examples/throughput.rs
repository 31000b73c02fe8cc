//! Measures the embedded log: `cargo run --release -p pulse-store --example throughput -- [events] [folder]`.
//!
//! Appends taxi-like events in batches of 4,096 to 12 partitions, and reads them. The folder defaults to a temporary one; the file in it is removed at the end.
#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use pulse_core::NewRecord;
use pulse_core::ports::{EventProducer as _, EventSource as _, Polled};
use pulse_store::EmbeddedStore;
use pulse_testkit::{FixedClock, taxi_trip};

const BATCH: u64 = 4096;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let events = arguments.next().map_or(Ok(1_000_000), |text| text.parse()).context("the number of events")?;
    let folder = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = tempfile::tempdir_in(folder)?;
    let store = EmbeddedStore::open(&folder.path().join("pulse.db"), Arc::new(FixedClock::default())).await?;
    append(&store, events).await?;
    let size = std::fs::metadata(folder.path().join("pulse.db"))?.len();
    println!("file with the events: about {} bytes per event", size / events);
    for max_records in [4096, 512] {
        read(&store, events, max_records).await?;
    }
    wake(&store).await?;
    store.close().await;
    let size = std::fs::metadata(folder.path().join("pulse.db"))?.len();
    println!("file: {} MiB", size >> 20);
    Ok(())
}

fn rate(what: &str, count: u64, took: Duration) {
    println!("{what}: {count} in {took:.2?}, {:.0} per second", count as f64 / took.as_secs_f64());
}

fn quantiles(what: &str, mut took: Vec<Duration>) {
    took.sort_unstable();
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize];
    println!("{what}: median {:.2?}, p99 {:.2?}, longest {:.2?}", at(0.5), at(0.99), at(1.0));
}

async fn append(store: &EmbeddedStore, events: u64) -> anyhow::Result<()> {
    store.create_topic("events", 12).await?;
    let topic: Arc<str> = Arc::from("events");
    let mut producer = store.producer();
    let (mut took, mut bytes) = (Vec::new(), 0);
    for start in (0..events).step_by(BATCH as usize) {
        let records: Vec<NewRecord> = (start..events.min(start + BATCH)).map(|n| taxi_trip(&topic, n)).collect();
        bytes += records.iter().map(|r| r.payload.len() + r.headers.encoded().len()).sum::<usize>();
        let begin = Instant::now();
        producer.append(records).await?;
        took.push(begin.elapsed());
    }
    rate("append", events, took.iter().sum());
    println!("bytes per event before compression: {:.0}", bytes as f64 / events as f64);
    quantiles("append of a batch", took);
    Ok(())
}

async fn read(store: &EmbeddedStore, events: u64, max_records: usize) -> anyhow::Result<()> {
    let mut source = store.source(&format!("readers of {max_records}"), "events");
    let begin = Instant::now();
    let (mut found, mut bytes) = (0, 0);
    while found < events {
        if let Polled::Records(batch) = source.poll(max_records).await? {
            found += batch.records.len() as u64;
            bytes += batch.records.iter().map(|record| record.payload.len()).sum::<usize>();
        }
    }
    anyhow::ensure!(bytes > 0, "nothing was read");
    rate(&format!("read, up to {max_records} at once"), found, begin.elapsed());
    Ok(())
}

/// How long a waiting reader takes to see one event.
async fn wake(store: &EmbeddedStore) -> anyhow::Result<()> {
    store.create_topic("single", 12).await?;
    let mut source = store.source("waiting", "single");
    while !matches!(source.poll(1).await?, Polled::Idle) {}
    let topic: Arc<str> = Arc::from("single");
    let mut producer = store.producer();
    let mut took = Vec::new();
    for n in 0..2_000 {
        let begin = Instant::now();
        producer.append(vec![taxi_trip(&topic, n)]).await?;
        while !matches!(source.poll(1).await?, Polled::Records(_)) {}
        took.push(begin.elapsed());
    }
    quantiles("append of one event until it is read", took);
    Ok(())
}
