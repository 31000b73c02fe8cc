//! What every [`TopicReader`] keeps.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use futures_util::FutureExt as _;
use futures_util::future::join;
use pulse_core::ports::{Backlog, EventProducer, TopicReader};
use pulse_core::{Classify, ErrorClass, NewRecord};

use super::reading::payloads;
use super::{LogBackend, assigned, read, read_backlog, read_on, restore};
use crate::samples::record;

const TOPIC: &str = "events";

/// `count` records for `partitions` in turn, whose payloads begin with `name`.
fn records(name: &str, count: u32, partitions: u32) -> Vec<NewRecord> {
    (0..count).map(|i| record(TOPIC, i % partitions, &format!("{name}-{i}"))).collect()
}

/// The payloads of each partition that `records` make, in order.
fn expected(records: &[NewRecord]) -> BTreeMap<u32, Vec<String>> {
    let mut expected: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for record in records {
        let text = String::from_utf8_lossy(&record.payload).into_owned();
        expected.entry(record.partition.unwrap_or_default()).or_default().push(text);
    }
    expected
}

/// All of it comes, each record once, in the order of its partition, however little is asked for at once, and whether or not
/// there is something in each partition. Another reader reads it as well.
///
/// # Errors
/// When the backend fails.
pub async fn all_of_a_topic_is_read_once_and_in_order<B: LogBackend>(backend: B) -> anyhow::Result<()> {
    backend.create_topic(TOPIC, 5).await?;
    let (mut producer, mut sent) = (backend.producer(), Vec::new());
    for call in 0..20 {
        // Of partition 4 there is nothing.
        let records = records(&call.to_string(), 1000, 4);
        sent.extend_from_slice(&records);
        producer.append(records).await?;
    }
    for max_records in [1000, 7] {
        let mut reader = backend.reader(TOPIC);
        assert_eq!(reader.backlog(), None, "nobody has looked yet");
        let batches = read_backlog(&mut reader, max_records).await?;
        assert_eq!(payloads(&batches), expected(&sent));
        assert_eq!(reader.backlog(), Some(Backlog { total: 20_000, read: 20_000 }));
        ensure!(reader.read(max_records).await?.is_none(), "there is no more");
    }
    Ok(())
}

/// What is appended after reading began changes nothing about how much there was, and comes after all of that, from whichever
/// partition, and then as soon as it is there.
///
/// # Errors
/// When the backend fails.
pub async fn what_comes_later_is_read_later_and_does_not_count<B: LogBackend>(backend: B) -> anyhow::Result<()> {
    backend.create_topic(TOPIC, 3).await?;
    let mut producer = backend.producer();
    let mut before = records("before", 300, 3);
    // One partition takes longer than the others.
    before.extend((0..3000).map(|i| record(TOPIC, 1, &i.to_string())));
    producer.append(before.clone()).await?;
    let mut reader = backend.reader(TOPIC);
    let mut batches = read_on(&mut reader, 10, 10).await?;
    assert_eq!(reader.backlog(), Some(Backlog { total: 3300, read: 10 }));
    let during = records("during", 600, 3);
    producer.append(during.clone()).await?;
    batches.extend(read_backlog(&mut reader, 10).await?);
    assert_eq!(payloads(&batches), expected(&before));
    assert_eq!(payloads(&read_on(&mut reader, 600, 50).await?), expected(&during));
    for i in 0..10 {
        let later = records(&i.to_string(), 3, 3);
        producer.append(later.clone()).await?;
        assert_eq!(payloads(&read_on(&mut reader, 3, 1).await?), expected(&later));
    }
    assert_eq!(reader.backlog(), Some(Backlog { total: 3300, read: 3300 }));
    Ok(())
}

/// Of an empty topic all is read as soon as that is known, and what is appended then comes.
///
/// # Errors
/// When the backend fails.
pub async fn an_empty_topic_is_read_at_once<B: LogBackend>(backend: B) -> anyhow::Result<()> {
    backend.create_topic(TOPIC, 2).await?;
    let mut reader = backend.reader(TOPIC);
    ensure!(reader.read(10).await?.is_none(), "there is nothing");
    assert_eq!(reader.backlog(), Some(Backlog { total: 0, read: 0 }));
    let later = records("later", 50, 2);
    backend.producer().append(later.clone()).await?;
    assert_eq!(payloads(&read_on(&mut reader, 50, 10).await?), expected(&later));
    assert_eq!(reader.backlog(), Some(Backlog { total: 0, read: 0 }));
    Ok(())
}

/// Whoever stops after a part of a topic has something of each partition.
///
/// # Errors
/// When the backend fails.
pub async fn a_full_partition_starves_no_other<B: LogBackend>(backend: B) -> anyhow::Result<()> {
    backend.create_topic(TOPIC, 4).await?;
    let mut producer = backend.producer();
    let full = |call: u32| (0..5000).map(move |i| record(TOPIC, 1, &format!("{call}-{i}")));
    for call in 0..4 {
        producer.append(full(call).collect()).await?;
    }
    producer
        .append([0, 2, 3].into_iter().flat_map(|p| (0..200).map(move |_| record(TOPIC, p, "few"))).collect())
        .await?;
    let mut reader = backend.reader(TOPIC);
    let found = payloads(&read_on(&mut reader, 2000, 50).await?);
    for partition in [0, 2, 3] {
        assert_eq!(found.get(&partition).map(Vec::len), Some(200), "of partition {partition}");
    }
    Ok(())
}

/// A read that is dropped loses nothing, and neither does asking for less the next time.
///
/// # Errors
/// When the backend fails.
pub async fn abandoned_reads_lose_nothing<B: LogBackend>(backend: B) -> anyhow::Result<()> {
    backend.create_topic(TOPIC, 2).await?;
    let sent = records("sent", 1000, 2);
    backend.producer().append(sent.clone()).await?;
    let (mut reader, mut batches) = (backend.reader(TOPIC), Vec::new());
    for turn in 0..300 {
        // Dropped after its first step, but for every third one.
        let max_records = 1 + turn % 4;
        batches.extend(match turn % 3 {
            0 => reader.read(max_records).await?,
            _ => reader.read(max_records).now_or_never().transpose()?.flatten(),
        });
    }
    batches.extend(read_backlog(&mut reader, 5).await?);
    assert_eq!(payloads(&batches), expected(&sent));
    Ok(())
}

/// A member of a group keeps its partitions and reads all of them, and no group stands anywhere.
///
/// # Errors
/// When the backend fails.
pub async fn nobody_notices<B: LogBackend>(backend: B) -> anyhow::Result<()> {
    backend.create_topic(TOPIC, 2).await?;
    let sent = records("sent", 400, 2);
    backend.producer().append(sent.clone()).await?;
    let mut source = backend.source("workers", TOPIC);
    assigned(&mut source).await?;
    let mut found = read(&mut source, 100, 50).await?;
    let (mut one, mut other) = (backend.reader(TOPIC), backend.reader(TOPIC));
    let (one, other) = join(read_backlog(&mut one, 30), read_backlog(&mut other, 60)).await;
    for batches in [one?, other?] {
        assert_eq!(payloads(&batches), expected(&sent));
    }
    found.extend(read(&mut source, 300, 50).await?);
    assert_eq!(payloads(&found), expected(&sent));
    let committer = backend.committer("workers", TOPIC, "state");
    for restored in restore(&committer, &[0, 1]).await? {
        assert_eq!((restored.committed, restored.start), (None, 0));
    }
    Ok(())
}

/// A topic that has to exist and does not is named by an error that does not pass.
///
/// # Errors
/// When the backend fails.
pub async fn a_topic_that_does_not_exist_is_named<B: LogBackend>(backend: B) -> anyhow::Result<()> {
    let mut reader = backend.reader("nowhere");
    let error = reader.read(10).await.err().context("an unknown topic was read")?;
    ensure!(error.to_string().contains("nowhere"), "{error} does not name the topic");
    assert_eq!(error.class(), ErrorClass::Fatal);
    assert_eq!(reader.backlog(), None);
    Ok(())
}

/// Whoever is patient reads a topic that is made later, from its beginning.
///
/// # Errors
/// When the backend fails.
pub async fn a_topic_that_does_not_exist_yet_is_waited_for<B: LogBackend>(backend: B) -> anyhow::Result<()> {
    let mut reader = backend.patient_reader(TOPIC);
    for _ in 0..3 {
        ensure!(reader.read(10).await?.is_none(), "there is no topic");
        assert_eq!(reader.backlog(), None);
    }
    backend.create_topic(TOPIC, 3).await?;
    let sent = records("sent", 60, 3);
    backend.producer().append(sent.clone()).await?;
    assert_eq!(payloads(&read_on(&mut reader, 60, 7).await?), expected(&sent));
    Ok(())
}
