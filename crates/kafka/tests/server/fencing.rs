//! What a member that died left behind, and who holds a partition.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use pulse_core::ports::{Commit, Committer as _, EventProducer as _, StateRecord};
use pulse_core::{Classify as _, ErrorClass};
use pulse_kafka::{KafkaError, StartAt};
use pulse_testkit::contract::{read, restore};
use pulse_testkit::{keyed, record};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{Offset, TopicPartitionList};

use crate::broker::{Broker, payloads};

fn commit(partition: u32, next_offset: u64, outputs: &[&str]) -> Commit {
    let outputs = outputs.iter().map(|text| keyed("output", "k", text)).collect();
    Commit { partition, next_offset, outputs, ..Commit::default() }
}

/// Begins a transaction that writes an output and moves the group to 77, as a member does that dies before its end.
fn die_within_a_transaction(broker: &Broker) -> anyhow::Result<()> {
    let (group, topic) = (broker.name("workers"), broker.name("input"));
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &broker.settings.brokers);
    let member: BaseConsumer = config.clone().set("group.id", &group).create()?;
    let producer: BaseProducer = config.set("transactional.id", format!("{group}-{topic}-0")).create()?;
    producer.init_transactions(Duration::from_secs(10))?;
    producer.begin_transaction()?;
    let output = broker.name("output");
    producer.send(BaseRecord::<(), _>::to(&output).payload("of the dead")).map_err(|(error, _)| error)?;
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset(&topic, 0, Offset::Offset(77))?;
    let metadata = member.group_metadata().context("no group")?;
    producer.send_offsets_to_transaction(&offsets, &metadata, Duration::from_secs(10))?;
    producer.flush(Duration::from_secs(10))?;
    // Its end would abort the transaction.
    std::mem::forget(producer);
    Ok(())
}

#[tokio::test]
async fn an_open_transaction_of_the_dead_is_aborted_at_once() -> anyhow::Result<()> {
    let broker = Broker::shared().await?;
    broker.create_topic("input", 1).await?;
    broker.create_topic("output", 1).await?;
    broker.producer().append((0..100).map(|_| record("input", 0, "{}")).collect()).await?;
    let before = broker.committer("workers", "input", StartAt::Earliest).await;
    restore(&before, &[0]).await?;
    before.commit(&[commit(0, 10, &["before"])]).await.remove(0)?;
    drop(before);
    let dying = broker.clone();
    tokio::task::spawn_blocking(move || die_within_a_transaction(&dying)).await??;
    let mut successor = broker.committer("workers", "input", StartAt::Earliest).await;
    successor.port = successor.port.writing_to([broker.name("output")]);
    let begun = Instant::now();
    let restored = restore(&successor, &[0]).await?.remove(0);
    assert!(begun.elapsed() < Duration::from_secs(20), "the transaction would time out after a minute");
    assert_eq!(restored.committed, Some(10));
    successor.commit(&[commit(0, 20, &["after"])]).await.remove(0)?;
    let batches = read(&mut broker.source("readers", "output"), 2, 10).await?;
    assert_eq!(payloads(&batches), ["before", "after"]);
    Ok(())
}

#[tokio::test]
async fn many_partitions_commit_together_and_one_that_is_lost_harms_none() -> anyhow::Result<()> {
    let broker = Broker::shared().await?;
    broker.create_topic("input", 12).await?;
    broker.create_topic("output", 3).await?;
    let all: Vec<u32> = (0..12).collect();
    let first = broker.committer("workers", "input", StartAt::Earliest).await;
    assert!(restore(&first, &all).await?.iter().all(|restored| restored.committed.is_none() && restored.start == 0));
    let second = broker.committer("workers", "input", StartAt::Earliest).await;
    restore(&second, &[7]).await?;
    let commits: Vec<Commit> = all.iter().map(|&partition| commit(partition, 5, &["x"])).collect();
    let results = first.commit(&commits).await;
    for (partition, result) in results.iter().enumerate() {
        let class = result.as_ref().err().map(|error| error.class());
        assert_eq!(class, (partition == 7).then_some(ErrorClass::Fenced), "{partition}: {result:?}");
    }
    let again = first.commit(&[commit(7, 6, &[])]).await.remove(0);
    assert_eq!(again.err().map(|error| error.class()), Some(ErrorClass::Fenced), "until it is restored");
    assert_eq!(restore(&first, &[7]).await?[0].committed, None);
    first.commit(&[commit(7, 6, &[])]).await.remove(0)?;
    Ok(())
}

#[tokio::test]
async fn a_start_is_chosen_once() -> anyhow::Result<()> {
    let broker = Broker::shared().await?;
    broker.create_topic("input", 2).await?;
    let mut producer = broker.producer();
    let at = |i: i64| pulse_core::NewRecord { timestamp: 1_780_000_000_000 + i, ..record("input", 0, "{}") };
    producer.append((0..10).map(at).collect()).await?;
    let time = StartAt::Time(jiff::Timestamp::from_millisecond(1_780_000_000_004)?);
    for (group, start, wanted) in
        [("earliest", StartAt::Earliest, [0, 0]), ("latest", StartAt::Latest, [10, 0]), ("time", time, [4, 0])]
    {
        let committer = broker.committer(group, "input", start).await;
        let restored = restore(&committer, &[0, 1]).await?;
        assert_eq!(restored.iter().map(|restored| restored.start).collect::<Vec<_>>(), wanted, "{group}");
        assert!(restored.iter().all(|restored| restored.committed.is_none()), "{group}");
        committer.commit(&[commit(0, restored[0].start, &[])]).await.remove(0)?;
    }
    producer.append((10..20).map(at).collect()).await?;
    for (group, wanted) in [("earliest", 0), ("latest", 10), ("time", 4)] {
        let restored = restore(&broker.committer(group, "input", StartAt::Latest).await, &[0]).await?;
        assert_eq!(restored[0].committed, Some(wanted), "{group}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_anything_is_written() -> anyhow::Result<()> {
    let broker = Broker::shared().await?;
    broker.create_topic("input", 1).await?;
    broker.create_topic("output", 1).await?;
    let large = "x".repeat(5 << 20);
    let refused = broker.producer().append(vec![record("output", 0, "small"), record("output", 0, &large)]).await;
    let error = refused.unwrap_err();
    assert_eq!(error.class(), ErrorClass::DeadLetter, "{error}");
    assert!(error.to_string().contains("output"), "{error}");
    let committer = broker.committer("workers", "input", StartAt::Earliest).await;
    restore(&committer, &[0]).await?;
    let refused = committer.commit(&[commit(0, 1, &["small", &large])]).await.remove(0).unwrap_err();
    assert_eq!((refused.class(), refused.too_large_for()), (ErrorClass::DeadLetter, Some(&*broker.name("output"))));
    let state = vec![StateRecord { key: "k".into(), value: Some(large.into()) }];
    let refused = committer.commit(&[Commit { state, ..commit(0, 1, &["small"]) }]).await.remove(0).unwrap_err();
    assert_eq!(refused.class(), ErrorClass::Fatal, "to cut outputs would not help");
    assert!(refused.to_string().contains("detectors.rolling_zscore.window"), "{refused}");
    assert!(broker.producer().last_records("output").await?.is_empty());
    committer.commit(&[commit(0, 1, &["small"])]).await.remove(0)?;
    Ok(())
}

/// Sets how large records of `topic` may be.
async fn limit(broker: &Broker, topic: &str, bytes: &str) -> anyhow::Result<()> {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &broker.settings.brokers).create()?;
    let name = broker.name(topic);
    let change = AlterConfig::new(ResourceSpecifier::Topic(&name)).set("max.message.bytes", bytes);
    let result = admin.alter_configs([&change], &AdminOptions::new()).await?.remove(0);
    result.map(drop).map_err(|(_, code)| anyhow::anyhow!("{code}"))
}

/// So many characters, of which compression saves half at the most.
fn noise(length: usize) -> String {
    let mut noise = 1_u64;
    let mut text = String::new();
    while text.len() < length {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.push_str(&format!("{noise:x}"));
    }
    text
}

/// Whoever takes over learns how large outputs may be before that, and the first commit need not ask.
#[tokio::test]
async fn topics_that_are_named_are_known_before_the_first_commit() -> anyhow::Result<()> {
    let broker = Broker::shared().await?;
    broker.create_topic("input", 1).await?;
    for topic in ["named", "not named"].map(|topic| topic.replace(' ', "_")) {
        broker.create_topic(&topic, 1).await?;
        let mut committer = broker.committer(&topic, "input", StartAt::Earliest).await;
        committer.port = committer.port.writing_to([broker.name("named"), broker.name("nowhere")]);
        restore(&committer, &[0]).await?;
        limit(&broker, &topic, "2000").await?;
        let outputs = vec![record(&topic, 0, &noise(15_000))];
        let refused = committer.commit(&[Commit { outputs, ..commit(0, 1, &[]) }]).await.remove(0).unwrap_err();
        let KafkaError::TooLarge { limit, .. } = refused else { anyhow::bail!("{refused}") };
        assert_eq!(limit == 2000, topic == "not_named", "{topic}: {limit}");
    }
    Ok(())
}

#[tokio::test]
async fn what_brokers_refuse_is_aborted_and_the_next_goes_on() -> anyhow::Result<()> {
    let broker = Broker::shared().await?;
    broker.create_topic("input", 1).await?;
    broker.create_topic("output", 1).await?;
    broker.create_topic("wider", 1).await?;
    let committer = broker.committer("workers", "input", StartAt::Earliest).await;
    restore(&committer, &[0]).await?;
    committer.commit(&[commit(0, 1, &["first"])]).await.remove(0)?;
    limit(&broker, "output", "2000").await?;
    let mut large = commit(0, 2, &["not seen", &noise(15_000)]);
    large.outputs.push(keyed("wider", "k", &noise(30_000)));
    for is_known in [false, true] {
        let refused = committer.commit(std::slice::from_ref(&large)).await.remove(0).unwrap_err();
        assert_eq!(refused.class(), ErrorClass::DeadLetter, "known: {is_known}, {refused:?}");
        assert_eq!(refused.too_large_for(), Some(&*broker.name("output")), "not the topic of the largest: {refused:?}");
    }
    committer.commit(&[commit(0, 2, &["second"])]).await.remove(0)?;
    let batches = read(&mut broker.source("readers", "output"), 2, 10).await?;
    assert_eq!(payloads(&batches), ["first", "second"]);
    Ok(())
}

/// Whoever takes over reads the state while the one before still commits; what stands there in the end is that of the offset
/// that is committed, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn the_state_of_a_holder_that_works_on_is_that_of_the_committed_offset() -> anyhow::Result<()> {
    const HOLDERS: usize = 6;
    let broker = Broker::shared().await?;
    broker.create_topic("input", 2).await?;
    broker.producer().append((0..100).map(|_| record("input", 0, "{}")).collect()).await?;
    let mut holder = broker.committer("workers", "input", StartAt::Earliest).await;
    restore(&holder, &[0, 1]).await?;
    // Of the other partition there is so much that the end of this one comes first.
    let filling = noise(700_000);
    let entry = |key: u8| StateRecord { key: vec![key].into(), value: Some(filling.clone().into_bytes().into()) };
    let large = Commit { state: (0..20).map(entry).collect(), ..commit(1, 1, &[]) };
    holder.commit(&[large]).await.remove(0)?;
    let mut next = 0_u64;
    let mut committed = 0;
    for _ in 0..HOLDERS {
        let (tell, told) = tokio::sync::oneshot::channel();
        let working = tokio::spawn(async move {
            let mut tell = Some(tell);
            let filling = noise(700_000);
            loop {
                next += 1;
                // Large enough for more than one answer of a broker, and one after the other in the topic.
                let value = |key: &'static str| StateRecord {
                    key: key.into(),
                    value: Some(format!("{next} {filling}").into_bytes().into()),
                };
                let state = ["first", "second", "third"].map(value).into();
                let work = Commit { state, ..commit(0, next, &[]) };
                let refused = match holder.commit(&[work]).await.remove(0) {
                    Ok(()) => {
                        if let Some(tell) = tell.take() {
                            tell.send(()).unwrap_or_default();
                        }
                        continue;
                    }
                    Err(error) => error,
                };
                assert_eq!(refused.class(), ErrorClass::Fenced, "{refused}");
                return next;
            }
        });
        let successor = broker.committer("workers", "input", StartAt::Earliest).await;
        // It works already.
        told.await?;
        let restored = restore(&successor, &[0, 1]).await?.remove(0);
        let refused = working.await?;
        let position = restored.committed.unwrap_or_default();
        assert!(committed < position && position <= refused, "{committed} {position} {refused}");
        for StateRecord { key, value } in &restored.state {
            let value = value.as_deref().unwrap_or_default();
            let number = std::str::from_utf8(value)?.split(' ').next().unwrap_or_default();
            assert_eq!(number.parse::<u64>()?, position, "{key:?}");
        }
        assert_eq!(restored.state.len(), 3);
        (holder, committed, next) = (successor, position, position);
    }
    Ok(())
}

/// One whose commit failed does not take over anew what it was told to hand over.
#[tokio::test]
async fn what_is_handed_over_is_not_taken_back_by_a_commit_that_failed() -> anyhow::Result<()> {
    let broker = Broker::shared().await?;
    broker.create_topic("input", 1).await?;
    broker.producer().append((0..100).map(|_| record("input", 0, "{}")).collect()).await?;
    broker.create_topic("output", 1).await?;
    let first = broker.committer("workers", "input", StartAt::Earliest).await;
    restore(&first, &[0]).await?;
    first.commit(&[commit(0, 10, &["one"])]).await.remove(0)?;
    // The limit is known by now; the broker has another.
    limit(&broker, "output", "1000").await?;
    let large = noise(15_000);
    first.hand_over(&[0]);
    assert!(first.commit(&[commit(0, 11, &[&large])]).await.remove(0).is_err());
    let refused = first.commit(&[commit(0, 11, &["two"])]).await.remove(0).unwrap_err();
    assert_eq!(refused.class(), ErrorClass::Fenced, "{refused}");
    Ok(())
}
