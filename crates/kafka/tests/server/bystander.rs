//! What a reader without a group meets in Kafka besides what the contract says: holes, retention, brokers that are away.

use std::time::Duration;

use pulse_core::ports::{Backlog, EventProducer as _, TopicReader as _};
use pulse_core::{Classify as _, ErrorClass};
use pulse_kafka::{KafkaError, KafkaReader, wait_for_brokers};
use pulse_testkit::contract::{read_backlog, read_on};
use pulse_testkit::record;
use pulse_testkit::servers::kafka::KafkaServer;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use crate::broker::{Broker, payloads};
use crate::reading::drop_first;

const PATIENCE: Duration = Duration::from_secs(30);

/// Writes transactions into partition 0 of a topic: where `commits` says so, they are committed, else aborted.
async fn transactions(broker: &Broker, topic: &str, commits: &[bool]) -> anyhow::Result<()> {
    let (topic, id, commits) = (broker.name(topic), broker.name("id"), commits.to_vec());
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &broker.settings.brokers).set("transactional.id", id);
    let write = move || -> anyhow::Result<()> {
        let producer: BaseProducer = config.create()?;
        producer.init_transactions(PATIENCE)?;
        for (number, commit) in commits.into_iter().enumerate() {
            producer.begin_transaction()?;
            let payload = number.to_string();
            let record: BaseRecord<'_, (), str> = BaseRecord::to(&topic).partition(0).payload(&payload);
            producer.send(record).map_err(|(error, _)| error)?;
            producer.flush(PATIENCE)?;
            if commit { producer.commit_transaction(PATIENCE)? } else { producer.abort_transaction(PATIENCE)? }
        }
        Ok(())
    };
    tokio::task::spawn_blocking(write).await?
}

#[tokio::test]
async fn holes_are_passed_wherever_they_are() -> anyhow::Result<()> {
    let broker = Broker::shared().await?;
    for (topic, commits, wanted) in [
        ("ends", &[true, false, true, false, false][..], &["0", "2"][..]),
        ("begins", &[false, false, true], &["2"]),
        ("nothing", &[false, false], &[]),
    ] {
        broker.create_topic(topic, 2).await?;
        transactions(&broker, topic, commits).await?;
        let mut reader = broker.reader(topic);
        assert_eq!(payloads(&read_backlog(&mut reader, 10).await?), wanted, "{topic}");
        // A record and a marker for each transaction.
        let total = 2 * commits.len() as u64;
        assert_eq!(reader.backlog(), Some(Backlog { total, read: total }), "{topic}");
        broker.producer().append(vec![record(topic, 0, "later"), record(topic, 1, "later")]).await?;
        assert_eq!(payloads(&read_on(&mut reader, 2, 10).await?), ["later", "later"], "{topic}");
    }
    Ok(())
}

#[tokio::test]
async fn what_retention_dropped_does_not_count() -> anyhow::Result<()> {
    let broker = Broker::shared().await?;
    broker.create_topic("events", 2).await?;
    broker.producer().append((0..100).map(|i| record("events", i % 2, &i.to_string())).collect()).await?;
    drop_first(&broker, "events", 30).await?;
    let mut reader = broker.reader("events");
    assert_eq!(read_backlog(&mut reader, 7).await?.iter().map(|batch| batch.records.len()).sum::<usize>(), 70);
    assert_eq!(reader.backlog(), Some(Backlog { total: 70, read: 70 }));
    Ok(())
}

#[tokio::test]
async fn retention_may_be_faster() -> anyhow::Result<()> {
    let mut broker = Broker::shared().await?;
    broker.settings.properties.insert("queued.max.messages.kbytes".to_owned(), "1024".to_owned());
    broker.create_topic("events", 2).await?;
    let mut producer = broker.producer();
    // More than is fetched at once, so that the brokers are asked again; and nothing that compresses.
    let noise = |i: u64| -> String {
        let words = (0..1000).map(|word| (i * 1000 + word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31));
        words.map(|word| format!("{:016x}", word.wrapping_mul(0xbf58_476d_1ce4_e5b9))).collect()
    };
    for call in 0..16 {
        let records = (0..100).map(|i| record("events", 0, &noise(call * 100 + i)));
        producer.append(records.collect()).await?;
    }
    producer.append(vec![record("events", 1, "other")]).await?;
    let mut reader = broker.reader("events");
    assert!(reader.read(1).await?.is_some());
    drop_first(&broker, "events", 1600).await?;
    let rest = read_backlog(&mut reader, 1000).await?;
    assert!(payloads(&rest).len() < 1600, "retention was not faster");
    let last = rest.iter().filter(|batch| batch.partition == 1).flat_map(|batch| &batch.records).last();
    assert_eq!(last.map(|record| &*record.payload), Some(&b"other"[..]), "the other partition is read on");
    assert_eq!(reader.backlog(), Some(Backlog { total: 1601, read: 1601 }));
    producer.append(vec![record("events", 0, "later")]).await?;
    assert_eq!(payloads(&read_on(&mut reader, 1, 10).await?), ["later"]);
    Ok(())
}

#[tokio::test]
async fn a_topic_that_grows_without_end_is_read_to_where_it_ended() -> anyhow::Result<()> {
    let broker = Broker::shared().await?;
    broker.create_topic("events", 3).await?;
    let mut producer = broker.producer();
    let batch = |call: u32| (0..300).map(move |i| record("events", i % 3, &call.to_string())).collect::<Vec<_>>();
    for call in 0..20 {
        producer.append(batch(call)).await?;
    }
    let growing = tokio::spawn(async move {
        for call in 20.. {
            producer.append(batch(call)).await?;
        }
        Ok::<_, KafkaError>(())
    });
    let mut reader = broker.reader("events");
    let found = payloads(&read_backlog(&mut reader, 100).await?).len() as u64;
    growing.abort();
    assert_eq!(reader.backlog(), Some(Backlog { total: found, read: found }));
    assert!(found >= 6000, "{found}");
    Ok(())
}

/// Reads until an error comes.
async fn failure(reader: &mut KafkaReader) -> KafkaError {
    loop {
        if let Err(error) = reader.read(10).await {
            return error;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn brokers_that_are_away_are_told_and_reading_goes_on() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let mut server = KafkaServer::start(dir.path())?;
    let broker = Broker::at(&server.brokers());
    broker.create_topic("events", 1).await?;
    broker.producer().append((0..100).map(|i| record("events", 0, &i.to_string())).collect()).await?;
    let (mut reader, mut late) = (broker.reader("events"), broker.reader("events"));
    let mut found = payloads(&read_on(&mut reader, 100, 10).await?);
    server.kill()?;
    for reader in [&mut reader, &mut late] {
        let error = failure(reader).await;
        assert!(matches!(error, KafkaError::Unreachable { .. }), "{error:?}");
        assert_eq!(error.class(), ErrorClass::Retry);
    }
    server.restart()?;
    wait_for_brokers(&broker.settings).await?;
    broker.producer().append(vec![record("events", 0, "after")]).await?;
    for (reader, wanted) in [(&mut reader, 101), (&mut late, 101)] {
        while found.len() < wanted {
            match reader.read(10).await {
                Ok(batch) => found.extend(payloads(batch.as_slice())),
                Err(error) => assert_eq!(error.class(), ErrorClass::Retry, "{error}"),
            }
        }
        assert!(found.drain(..).eq((0..100).map(|i| i.to_string()).chain(["after".to_owned()])));
    }
    Ok(())
}
