//! Where reading begins, goes on and ends.

use std::time::Duration;

use anyhow::{Context as _, bail};
use pulse_core::ports::{Commit, Committer as _, EventProducer as _, EventSource, Polled};
use pulse_core::{Classify as _, ErrorClass, RecordBatch};
use pulse_kafka::{KafkaError, KafkaSettings, KafkaSource, StartAt};
use pulse_testkit::contract::{assigned, read, restore};
use pulse_testkit::record;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::mocking::{MockCluster, MockCoordinator};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::broker::{Broker, payloads};

/// Polls until a batch comes for which `wanted` holds.
async fn batch(source: &mut KafkaSource, wanted: impl Fn(&RecordBatch) -> bool) -> anyhow::Result<RecordBatch> {
    for _ in 0..200 {
        match source.poll(1000).await? {
            Polled::Records(batch) if wanted(&batch) => return Ok(batch),
            _ => {}
        }
    }
    bail!("no such batch came")
}

/// Drops the first `count` records of partition 0, as retention does.
pub(crate) async fn drop_first(broker: &Broker, topic: &str, count: i64) -> anyhow::Result<()> {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &broker.settings.brokers).create()?;
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&broker.name(topic), 0, Offset::Offset(count))?;
    let dropped = admin.delete_records(&list, &AdminOptions::new()).await?;
    dropped.elements().first().context("nothing was dropped")?.error()?;
    Ok(())
}

#[tokio::test]
async fn the_end_lies_behind_the_markers_of_transactions() -> anyhow::Result<()> {
    let broker = Broker::shared().await?;
    broker.create_topic("input", 1).await?;
    broker.create_topic("output", 1).await?;
    let committer = broker.committer("workers", "input", StartAt::Earliest).await;
    restore(&committer, &[0]).await?;
    for next_offset in 1..=3 {
        let outputs = vec![record("output", 0, &next_offset.to_string())];
        committer.commit(&[Commit { next_offset, outputs, ..Commit::default() }]).await.remove(0)?;
    }
    let mut source = broker.source("readers", "output");
    let batches = read(&mut source, 3, 10).await?;
    assert_eq!(payloads(&batches), ["1", "2", "3"]);
    // Offsets 1, 3 and 5 are markers.
    assert_eq!(batches.last().context("no batch")?.records.last().context("no record")?.offset, 4);
    let end = batch(&mut source, |batch| batch.next_offset == 6).await?;
    assert_eq!((end.records.len(), end.lag()), (0, 0));
    assert_eq!(broker.producer().last_records("output").await?.remove(0).payload, "3");
    Ok(())
}

#[tokio::test]
async fn what_retention_dropped_is_counted_and_reading_goes_on() -> anyhow::Result<()> {
    let broker = Broker::shared().await?;
    broker.create_topic("events", 1).await?;
    broker.producer().append((0..100).map(|i| record("events", 0, &i.to_string())).collect()).await?;
    drop_first(&broker, "events", 30).await?;
    let mut source = broker.source("readers", "events");
    assigned(&mut source).await?;
    source.seek(0, 10).await?;
    assert_eq!(read(&mut source, 70, 1000).await?[0].records[0].offset, 30);
    assert_eq!(source.lost_records().get(), 20);
    // Whoever names no offset has lost nothing.
    let mut fresh = broker.source("others", "events");
    assert_eq!(read(&mut fresh, 70, 1000).await?[0].records[0].offset, 30);
    assert_eq!(fresh.lost_records().get(), 0);
    Ok(())
}

#[tokio::test]
async fn reading_on_behind_the_end_takes_a_person() -> anyhow::Result<()> {
    let broker = Broker::shared().await?;
    broker.create_topic("events", 1).await?;
    broker.producer().append((0..10).map(|i| record("events", 0, &i.to_string())).collect()).await?;
    let mut source = broker.source("readers", "events");
    assigned(&mut source).await?;
    source.seek(0, 1000).await?;
    let error = loop {
        if let Err(error) = source.poll(10).await {
            break error;
        }
    };
    assert!(matches!(error, KafkaError::BeyondEnd { end: 10, position: 1000, .. }), "{error:?}");
    assert_eq!(error.class(), ErrorClass::Fatal);
    Ok(())
}

#[tokio::test]
async fn an_unknown_topic_is_named() -> anyhow::Result<()> {
    let broker = Broker::shared().await?;
    let mut source = broker.source("readers", "nowhere");
    let error = loop {
        if let Err(error) = source.poll(10).await {
            break error;
        }
    };
    assert!(matches!(&error, KafkaError::UnknownTopic { topic } if topic.ends_with("nowhere")), "{error:?}");
    Ok(())
}

#[tokio::test]
async fn an_abandoned_poll_loses_nothing() -> anyhow::Result<()> {
    let broker = Broker::shared().await?;
    broker.create_topic("events", 1).await?;
    let mut source = broker.source("readers", "events");
    assigned(&mut source).await?;
    let mut producer = broker.producer();
    for call in 0..50 {
        producer.append((0..20).map(|i| record("events", 0, &(call * 20 + i).to_string())).collect()).await?;
        drop(tokio::time::timeout(std::time::Duration::ZERO, source.poll(7)).await);
    }
    source.seek(0, 0).await?;
    for _ in 0..10 {
        drop(tokio::time::timeout(std::time::Duration::ZERO, source.poll(7)).await);
    }
    source.seek(0, 0).await?;
    let batches = read(&mut source, 1000, 7).await?;
    assert!(payloads(&batches).into_iter().eq((0..1000).map(|i| i.to_string())));
    Ok(())
}

#[tokio::test]
async fn a_partition_that_is_not_ours_cannot_be_sought() -> anyhow::Result<()> {
    let broker = Broker::shared().await?;
    broker.create_topic("events", 1).await?;
    let mut source = broker.source("readers", "events");
    assigned(&mut source).await?;
    assert!(source.seek(0, 0).await.is_ok());
    assert!(matches!(source.seek(1, 0).await, Err(KafkaError::NotAssigned { partition: 1, .. })));
    Ok(())
}

/// Writes a record into each partition of "events".
fn one_each(brokers: &str, partitions: i32) -> anyhow::Result<()> {
    let producer: BaseProducer = ClientConfig::new().set("bootstrap.servers", brokers).create()?;
    for partition in 0..partitions {
        let record: BaseRecord<'_, (), str> = BaseRecord::to("events").partition(partition).payload("{}");
        producer.send(record).map_err(|(error, _)| error)?;
    }
    Ok(producer.flush(Duration::from_secs(10))?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_whose_leader_is_away_holds_up_no_other() -> anyhow::Result<()> {
    // The brokers of tests are one each.
    let cluster = MockCluster::new(2)?;
    cluster.create_topic("events", 2, 1)?;
    cluster.coordinator(MockCoordinator::Group("readers".to_owned()), 1)?;
    for partition in [0, 1] {
        cluster.partition_leader("events", partition, Some(partition + 1))?;
    }
    let brokers = cluster.bootstrap_servers();
    tokio::task::spawn_blocking(move || one_each(&brokers, 2)).await??;
    let mut source = KafkaSource::new(&KafkaSettings::new(cluster.bootstrap_servers()), "readers", "events")?;
    assert_eq!(assigned(&mut source).await?, [0, 1]);
    for (is_said, patience) in [(true, Duration::from_millis(1800)), (false, Duration::from_secs(8))] {
        cluster.broker_down(2)?;
        for partition in [0, 1] {
            if is_said {
                source.seek(partition, 0).await?;
            } else {
                source.seek_to_beginning(partition).await?;
            }
        }
        let batches = tokio::time::timeout(patience, read(&mut source, 1, 10)).await??;
        assert_eq!(batches[0].partition, 0);
        cluster.broker_up(2)?;
        assert_eq!(read(&mut source, 1, 10).await?[0].partition, 1);
    }
    Ok(())
}
