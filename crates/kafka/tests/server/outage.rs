//! Brokers that are away.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use pulse_core::ports::{Commit, Committer as _, EventProducer as _, EventSource as _, Polled};
use pulse_core::{Classify as _, ErrorClass};
use pulse_kafka::{KafkaError, StartAt, wait_for_brokers};
use pulse_testkit::contract::{assigned, read, restore};
use pulse_testkit::record;
use pulse_testkit::servers::kafka::KafkaServer;

use crate::broker::{Broker, payloads};

#[tokio::test(flavor = "multi_thread")]
async fn everybody_waits_for_brokers_and_goes_on() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let mut server = KafkaServer::start(dir.path())?;
    let broker = Broker::at(&server.brokers());
    broker.create_topic("events", 1).await?;
    let mut producer = broker.producer();
    let mut source = broker.source("readers", "events");
    let waits = Arc::new(AtomicU64::new(0));
    let told = Arc::clone(&waits);
    let committer = broker.committer("workers", "events", StartAt::Earliest).await.port;
    let committer = committer.telling_waits(move || _ = told.fetch_add(1, Ordering::Relaxed));
    producer.append(vec![record("events", 0, "before")]).await?;
    assigned(&mut source).await?;
    assert_eq!(payloads(&read(&mut source, 1, 10).await?), ["before"]);
    restore(&committer, &[0]).await?;

    server.kill()?;
    let error = loop {
        if let Err(error) = source.poll(10).await {
            break error;
        }
    };
    assert!(matches!(error, KafkaError::Unreachable { .. }), "{error:?}");
    assert_eq!(error.class(), ErrorClass::Retry);
    while producer.port.link().is_up() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let waiting =
        tokio::time::timeout(Duration::from_millis(300), producer.append(vec![record("events", 0, "during")]));
    assert!(waiting.await.is_err(), "nobody can have acknowledged it");
    let commit = [Commit { next_offset: 1, ..Commit::default() }];
    let mut committing = std::pin::pin!(committer.commit(&commit));
    assert!(tokio::time::timeout(Duration::from_millis(300), &mut committing).await.is_err());
    assert_eq!(waits.load(Ordering::Relaxed), 0, "a moment is no wait");
    assert!(tokio::time::timeout(Duration::from_secs(5), &mut committing).await.is_err());
    assert!(waits.load(Ordering::Relaxed) > 0, "somebody has to notice");

    server.restart()?;
    wait_for_brokers(&broker.settings).await?;
    producer.append(vec![record("events", 0, "after")]).await?;
    committing.await.remove(0)?;
    // To the group this member was dead for a while: it may have to begin anew.
    let (mut found, mut position) = (Vec::new(), 1);
    while found.len() < 2 {
        match source.poll(10).await {
            Ok(Polled::Records(batch)) => {
                position = batch.next_offset;
                found.extend(payloads(&[batch]));
            }
            Ok(Polled::Assigned(partitions)) => source.seek(partitions[0], position).await?,
            Ok(Polled::Revoked(_) | Polled::Idle) => {}
            Err(error) => assert_eq!(error.class(), ErrorClass::Retry, "{error}"),
        }
    }
    assert_eq!(found, ["during", "after"]);
    while !producer.port.link().is_up() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_broker_that_comes_late_is_waited_for() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let mut server = tokio::task::spawn_blocking({
        let dir = dir.path().to_owned();
        move || KafkaServer::start(&dir)
    })
    .await??;
    let broker = Broker::at(&server.brokers());
    server.stop()?;
    let mut waiting = std::pin::pin!(wait_for_brokers(&broker.settings));
    assert!(tokio::time::timeout(Duration::from_secs(2), &mut waiting).await.is_err());
    let server = tokio::task::spawn_blocking(move || server.restart().map(|()| server));
    waiting.await?;
    server.await??.stop()
}

/// Flips the last byte of the second batch of partition 0 of `topic`, as a disk does.
fn damage(dir: &Path, topic: &str) -> anyhow::Result<()> {
    let name = format!("{topic}-0/00000000000000000000.log");
    let mut dirs = vec![dir.to_owned()];
    let mut log = None;
    while let Some(dir) = dirs.pop().filter(|_| log.is_none()) {
        log = Some(dir.join(&name)).filter(|log| log.exists());
        let entries = std::fs::read_dir(dir)?.collect::<Result<Vec<_>, _>>()?;
        dirs.extend(entries.into_iter().map(|entry| entry.path()).filter(|path| path.is_dir()));
    }
    let log = log.context("no such log")?;
    let mut bytes = std::fs::read(&log)?;
    let end = |begin: usize| -> anyhow::Result<usize> {
        let length = bytes.get(begin + 8..begin + 12).context("no such batch")?;
        Ok(begin + 12 + u32::from_be_bytes(length.try_into()?) as usize)
    };
    let last = end(end(0)?)? - 1;
    bytes[last] ^= 0xff;
    Ok(std::fs::write(log, bytes)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_damaged_is_not_passed_over() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let mut server = KafkaServer::start(dir.path())?;
    let broker = Broker::at(&server.brokers());
    broker.create_topic("events", 1).await?;
    let mut producer = broker.producer();
    for text in ["before", "damaged", "behind"] {
        producer.append(vec![record("events", 0, text)]).await?;
    }
    server.stop()?;
    damage(dir.path(), &broker.name("events"))?;
    server.restart()?;
    wait_for_brokers(&broker.settings).await?;
    let mut source = broker.source("readers", "events");
    let (mut found, mut failures) = (Vec::new(), 0);
    while failures < 3 {
        match source.poll(10).await {
            Ok(Polled::Records(batch)) => found.extend(payloads(&[batch])),
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error.class(), ErrorClass::Retry, "{error}");
                failures += 1;
            }
        }
    }
    assert_eq!(found, ["before"]);
    Ok(())
}
