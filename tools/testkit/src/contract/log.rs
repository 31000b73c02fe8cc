//! What every [`EventProducer`] and [`EventSource`] keep.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use pulse_core::ports::{EventProducer, EventSource, Polled};
use pulse_core::{Classify, ErrorClass, Headers, NewRecord, partition_of};

use super::reading::payloads;
use super::{LogBackend, assigned, read};
use crate::samples::{keyed, record};

const TOPIC: &str = "events";

/// Until the end is reached, and then some: batches may tell of holes, but of no record.
async fn nothing_comes<S: EventSource>(source: &mut S) -> anyhow::Result<()> {
    let mut idle = 0;
    while idle < 2 {
        match source.poll(10).await? {
            Polled::Idle => idle += 1,
            Polled::Records(batch) if batch.records.is_empty() => {}
            found => anyhow::bail!("expected nothing, not {found:?}"),
        }
    }
    Ok(())
}

/// Each partition hands out what was appended, in that order, with rising offsets, however small the polls.
///
/// # Errors
/// When the backend fails.
pub async fn order_is_kept_and_offsets_rise<B: LogBackend>(backend: B) -> anyhow::Result<()> {
    backend.create_topic(TOPIC, 3).await?;
    let mut producer = backend.producer();
    let mut expected: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for call in 0..7_u32 {
        let texts = (0..50_u32).map(|i| ((call + i) % 3, format!("{call}-{i}")));
        let records = texts.clone().map(|(partition, text)| record(TOPIC, partition, &text)).collect();
        producer.append(records).await?;
        texts.for_each(|(partition, text)| expected.entry(partition).or_default().push(text));
    }
    let mut source = backend.source("readers", TOPIC);
    assert_eq!(assigned(&mut source).await?, [0, 1, 2]);
    let batches = read(&mut source, 350, 13).await?;
    assert_eq!(payloads(&batches), expected);
    for partition in 0..3 {
        let of_partition = batches.iter().filter(|batch| batch.partition == partition);
        let offsets: Vec<u64> = of_partition.flat_map(|batch| batch.records.iter().map(|r| r.offset)).collect();
        assert!(offsets.is_sorted_by(|a, b| a < b), "{offsets:?}");
    }
    nothing_comes(&mut source).await
}

/// A key goes to the partition that Kafka's partitioner gives it; no record without key is lost.
///
/// # Errors
/// When the backend fails.
pub async fn keys_choose_partitions_as_kafka_does<B: LogBackend>(backend: B) -> anyhow::Result<()> {
    backend.create_topic(TOPIC, 12).await?;
    let mut records: Vec<NewRecord> = (0..100).map(|i| keyed(TOPIC, &format!("Zone {i}"), "{}")).collect();
    records.extend((0..24).map(|_| NewRecord { partition: None, ..record(TOPIC, 0, "{}") }));
    backend.producer().append(records).await?;
    let mut source = backend.source("readers", TOPIC);
    for batch in read(&mut source, 124, 1000).await? {
        for key in batch.records.iter().filter_map(|record| record.key.as_ref()) {
            assert_eq!(partition_of(key, 12), batch.partition);
        }
    }
    Ok(())
}

/// Timestamp, key, payload and headers come back as they went in.
///
/// # Errors
/// When the backend fails.
pub async fn everything_of_a_record_is_kept<B: LogBackend>(backend: B) -> anyhow::Result<()> {
    backend.create_topic(TOPIC, 1).await?;
    let headers = Headers::new([("pulse-label", b"x".as_slice()), ("empty", b""), ("bytes", &[0, 255])]);
    let sent: Vec<NewRecord> = [(1, None), (1_780_000_000_123, Some(&b"\x00\xff"[..])), (7, Some(b""))]
        .into_iter()
        .map(|(timestamp, key)| NewRecord {
            timestamp,
            key: key.map(Bytes::from_static),
            headers: headers.clone(),
            ..record(TOPIC, 0, "{\"a\": 1}")
        })
        .collect();
    backend.producer().append(sent.clone()).await?;
    let batches = read(&mut backend.source("readers", TOPIC), 3, 10).await?;
    let got = batches.iter().flat_map(|batch| &batch.records);
    for (sent, got) in sent.iter().zip(got) {
        assert_eq!((sent.timestamp, &sent.key, &sent.payload), (got.timestamp, &got.key, &got.payload));
        assert!(sent.headers.iter().eq(got.headers.iter()));
    }
    Ok(())
}

/// Payloads of no bytes and of a mebibyte pass, in order.
///
/// # Errors
/// When the backend fails.
pub async fn empty_and_large_payloads_pass<B: LogBackend>(backend: B) -> anyhow::Result<()> {
    backend.create_topic(TOPIC, 1).await?;
    let large: Bytes = (0..1_u32 << 20).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let sent = [Bytes::new(), large.clone(), Bytes::new(), large, Bytes::from_static(b"end")];
    let records = sent.iter().map(|payload| NewRecord { payload: payload.clone(), ..record(TOPIC, 0, "") });
    backend.producer().append(records.collect()).await?;
    let batches = read(&mut backend.source("readers", TOPIC), 5, 2).await?;
    let got = batches.iter().flat_map(|batch| batch.records.iter().map(|record| record.payload.clone()));
    assert!(got.eq(sent));
    Ok(())
}

/// `last_records` gives the last record of each partition that has one.
///
/// # Errors
/// When the backend fails.
pub async fn last_records_are_the_last<B: LogBackend>(backend: B) -> anyhow::Result<()> {
    backend.create_topic(TOPIC, 3).await?;
    let mut producer = backend.producer();
    assert!(producer.last_records(TOPIC).await?.is_empty());
    producer.append(vec![record(TOPIC, 0, "a"), record(TOPIC, 2, "b"), record(TOPIC, 0, "c")]).await?;
    producer.append(vec![record(TOPIC, 0, "d")]).await?;
    let mut last: Vec<_> = producer.last_records(TOPIC).await?.into_iter().map(|r| (r.offset, r.payload)).collect();
    last.sort();
    assert!(last.iter().map(|(_, payload)| payload).eq(["b", "d"].map(Bytes::from).iter()), "{last:?}");
    assert!(last[0].0 < last[1].0, "offsets must rise: {last:?}");
    Ok(())
}

/// After a seek, reading goes on exactly there: inside a batch, at the end, and back at the beginning.
///
/// # Errors
/// When the backend fails.
pub async fn a_seek_resumes_anywhere<B: LogBackend>(backend: B) -> anyhow::Result<()> {
    backend.create_topic(TOPIC, 1).await?;
    let mut producer = backend.producer();
    for call in 0..4 {
        let records = (0..25).map(|i| record(TOPIC, 0, &(call * 25 + i).to_string()));
        producer.append(records.collect()).await?;
    }
    let mut source = backend.source("readers", TOPIC);
    assigned(&mut source).await?;
    let batches = read(&mut source, 100, 7).await?;
    let offsets: Vec<u64> = batches.iter().flat_map(|batch| batch.records.iter().map(|r| r.offset)).collect();
    for start in [0_usize, 1, 24, 25, 26, 60, 99, 3] {
        source.seek(0, offsets[start]).await?;
        let batches = read(&mut source, 100 - start, 10).await?;
        let found = batches.iter().flat_map(|batch| batch.records.iter().map(|r| r.offset));
        assert!(found.eq(offsets[start..].iter().copied()), "from {start}");
        let texts = batches.iter().flat_map(|batch| batch.records.iter().map(|r| r.payload.clone()));
        assert!(texts.eq((start..100).map(|i| Bytes::from(i.to_string()))), "from {start}");
    }
    source.seek(0, offsets[99] + 1).await?;
    nothing_comes(&mut source).await?;
    producer.append(vec![record(TOPIC, 0, "new")]).await?;
    let batches = read(&mut source, 1, 10).await?;
    let last = batches.last().context("nothing was read")?;
    assert!(last.records[0].offset > offsets[99] && last.lag() == 0, "{last:?}");
    Ok(())
}

/// Of a paused partition nothing comes until a seek, and of the others everything.
///
/// # Errors
/// When the backend fails.
pub async fn a_paused_partition_waits_for_a_seek<B: LogBackend>(backend: B) -> anyhow::Result<()> {
    backend.create_topic(TOPIC, 2).await?;
    let mut producer = backend.producer();
    producer.append((0..20_u32).map(|i| record(TOPIC, i % 2, &i.to_string())).collect()).await?;
    let mut source = backend.source("readers", TOPIC);
    let partitions = assigned(&mut source).await?;
    source.pause(&partitions);
    nothing_comes(&mut source).await?;
    source.seek_to_beginning(1).await?;
    let batches = read(&mut source, 10, 100).await?;
    assert!(batches.iter().all(|batch| batch.partition == 1));
    source.pause(&[1]);
    producer.append(vec![record(TOPIC, 1, "20")]).await?;
    nothing_comes(&mut source).await?;
    source.seek(0, 0).await?;
    assert!(read(&mut source, 10, 100).await?.iter().all(|batch| batch.partition == 0));
    source.seek_to_beginning(1).await?;
    let again = payloads(&read(&mut source, 11, 100).await?);
    assert_eq!(again[&1].last().map(String::as_str), Some("20"));
    nothing_comes(&mut source).await
}

/// A reader at the end gets what is appended later.
///
/// # Errors
/// When the backend fails.
pub async fn a_waiting_reader_is_woken<B: LogBackend>(backend: B) -> anyhow::Result<()> {
    backend.create_topic(TOPIC, 2).await?;
    let mut source = backend.source("readers", TOPIC);
    assigned(&mut source).await?;
    let mut producer = backend.producer();
    for i in 0..20_u32 {
        nothing_comes(&mut source).await?;
        producer.append(vec![record(TOPIC, i % 2, &i.to_string())]).await?;
        let batches = read(&mut source, 1, 10).await?;
        let payloads: Vec<_> = batches.iter().flat_map(|batch| &batch.records).map(|record| &record.payload).collect();
        assert_eq!(payloads, [&i.to_string()]);
    }
    Ok(())
}

/// A restart loses nothing that was appended, and offsets go on rising.
///
/// # Errors
/// When the backend fails.
pub async fn what_was_appended_outlives_a_restart<B: LogBackend>(backend: B) -> anyhow::Result<()> {
    backend.create_topic(TOPIC, 1).await?;
    backend.producer().append(vec![record(TOPIC, 0, "a"), record(TOPIC, 0, "b")]).await?;
    let backend = backend.reopen().await?;
    backend.create_topic(TOPIC, 1).await.context("a topic that exists may be made again")?;
    backend.producer().append(vec![record(TOPIC, 0, "c")]).await?;
    let batches = read(&mut backend.source("readers", TOPIC), 3, 10).await?;
    let got: Vec<_> = batches.iter().flat_map(|batch| batch.records.iter().map(|r| (r.offset, &r.payload))).collect();
    assert!(got.is_sorted_by(|a, b| a.0 < b.0), "{got:?}");
    assert!(got.iter().map(|(_, payload)| *payload).eq(["a", "b", "c"].map(Bytes::from).iter()), "{got:?}");
    Ok(())
}

/// What goes to a topic that does not exist is refused, all of it, by an error that names the topic.
///
/// # Errors
/// When the backend fails.
pub async fn unknown_topics_are_named<B: LogBackend>(backend: B) -> anyhow::Result<()> {
    backend.create_topic(TOPIC, 1).await?;
    let mut producer = backend.producer();
    let refused = producer.append(vec![record(TOPIC, 0, "a"), record("nowhere", 0, "b")]).await;
    let error = refused.err().context("an unknown topic was accepted")?;
    ensure!(error.to_string().contains("nowhere"), "{error} does not name the topic");
    assert_ne!(error.class(), ErrorClass::Retry);
    assert!(producer.last_records(TOPIC).await?.is_empty());
    let topic: Arc<str> = Arc::from(TOPIC);
    let misplaced = NewRecord { topic, partition: Some(1), ..record(TOPIC, 0, "c") };
    assert!(producer.append(vec![misplaced]).await.is_err(), "partition 1 of 1 was accepted");
    Ok(())
}
