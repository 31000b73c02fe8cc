//! Partitions come and go, one by one.

use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;
use pulse_anomaly_writer::{Metrics, WriterOptions, run};
use pulse_core::names::TOPIC_ANOMALIES;
use pulse_core::ports::{EventSource, Polled};
use pulse_core::{Classify, ErrorClass};
use pulse_runtime::Health;
use pulse_store::{EmbeddedStore, StoreError};
use pulse_testkit::{FixedClock, TempStore};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// A source that finds what it is told to.
struct Told(mpsc::Receiver<Polled>);

impl EventSource for Told {
    type Error = StoreError;

    async fn poll(&mut self, _: usize) -> Result<Polled, StoreError> {
        let told = timeout(Duration::from_millis(5), self.0.recv()).await;
        Ok(told.ok().flatten().unwrap_or(Polled::Idle))
    }

    async fn seek(&mut self, _: u32, _: u64) -> Result<(), StoreError> {
        Ok(())
    }

    async fn seek_to_beginning(&mut self, _: u32) -> Result<(), StoreError> {
        Ok(())
    }

    fn pause(&mut self, _: &[u32]) {}

    async fn leave(&mut self) -> bool {
        false
    }
}

#[tokio::test]
async fn a_writer_is_ready_as_long_as_it_has_a_partition() -> anyhow::Result<()> {
    let place = TempStore::new()?;
    let store = EmbeddedStore::open(place.file(), Arc::new(FixedClock::default())).await?;
    store.create_topic(TOPIC_ANOMALIES, 12).await?;
    // With room for one message, a second one is taken only when what was before it is done.
    let (tell, told) = mpsc::channel(1);
    let (health, stop) = (Health::starting("test"), CancellationToken::new());
    let (options, metrics) = (WriterOptions::default(), Metrics::new(&Registry::new())?);
    let work = run(Told(told), store.anomaly_store(), store.producer(), options, metrics, health.clone(), stop.clone());
    let writer = tokio::spawn(work);
    tell.send(Polled::Assigned(vec![0, 1])).await?;
    health.ready().await;
    for (taken, ready) in [(1, true), (0, false)] {
        tell.send(Polled::Revoked(vec![taken])).await?;
        tell.send(Polled::Idle).await?;
        tell.send(Polled::Idle).await?;
        assert_eq!(health.is_ready(), ready, "without partition {taken}");
    }
    stop.cancel();
    writer.await??;
    Ok(())
}

#[derive(Debug, thiserror::Error)]
#[error("cannot read")]
struct Away(#[source] std::io::Error);

impl Classify for Away {
    fn class(&self) -> ErrorClass {
        ErrorClass::Retry
    }
}

/// A source that fails once, and then has no partition for us.
struct Spare(bool);

impl EventSource for Spare {
    type Error = Away;

    async fn poll(&mut self, _: usize) -> Result<Polled, Away> {
        if std::mem::take(&mut self.0) {
            return Err(Away(std::io::Error::other("the cable is out")));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        Ok(Polled::Assigned(Vec::new()))
    }

    async fn seek(&mut self, _: u32, _: u64) -> Result<(), Away> {
        Ok(())
    }

    async fn seek_to_beginning(&mut self, _: u32) -> Result<(), Away> {
        Ok(())
    }

    fn pause(&mut self, _: &[u32]) {}

    async fn leave(&mut self) -> bool {
        false
    }
}

#[tokio::test]
async fn a_writer_that_recovers_without_a_partition_is_not_ready() -> anyhow::Result<()> {
    let place = TempStore::new()?;
    let store = EmbeddedStore::open(place.file(), Arc::new(FixedClock::default())).await?;
    let (health, stop) = (Health::starting("test"), CancellationToken::new());
    let pause = Duration::from_millis(300);
    let options = WriterOptions { first_pause: pause, drain: Duration::ZERO, ..WriterOptions::default() };
    let metrics = Metrics::new(&Registry::new())?;
    let work =
        run(Spare(true), store.anomaly_store(), store.producer(), options, metrics, health.clone(), stop.clone());
    let writer = tokio::spawn(work);
    for reason in ["trying again: cannot read: the cable is out", "waiting for partitions"] {
        let said = async {
            while health.reason().as_deref() != Some(reason) {
                assert!(!health.is_ready(), "it has nothing to work on");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(Duration::from_secs(30), said).await?;
    }
    stop.cancel();
    writer.await??;
    Ok(())
}
