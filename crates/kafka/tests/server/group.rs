//! Members of a group share partitions.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, bail};
use pulse_core::ports::{EventProducer as _, EventSource as _, Polled};
use pulse_kafka::KafkaSource;
use pulse_testkit::contract::{assigned, read};
use pulse_testkit::record;

use crate::broker::Broker;

/// Polls that may come back idle in a row: longer than a rebalance takes.
const PATIENCE: u32 = 200;

/// A member, what it has, and what it read.
struct Member {
    source: KafkaSource,
    has: BTreeSet<u32>,
    read: Vec<String>,
}

impl Member {
    fn new(broker: &Broker) -> Self {
        Self { source: broker.source("members", "shared"), has: BTreeSet::new(), read: Vec::new() }
    }

    /// Polls once; `committed` is where everybody goes on.
    async fn step(&mut self, committed: &mut BTreeMap<u32, u64>) -> anyhow::Result<()> {
        match self.source.poll(100).await? {
            Polled::Assigned(partitions) => {
                for partition in partitions {
                    assert!(self.has.insert(partition), "{partition} twice");
                    self.source.seek(partition, committed.get(&partition).copied().unwrap_or(0)).await?;
                }
            }
            Polled::Revoked(partitions) => {
                for partition in partitions {
                    assert!(self.has.remove(&partition), "{partition} was not ours");
                    self.source.pause(&[partition]);
                }
            }
            Polled::Records(batch) => {
                assert!(self.has.contains(&batch.partition), "{batch:?} is not of {:?}", self.has);
                committed.insert(batch.partition, batch.next_offset);
                self.read.extend(crate::broker::payloads(&[batch]));
            }
            Polled::Idle => {}
        }
        Ok(())
    }
}

#[tokio::test]
async fn partitions_move_to_a_new_member_and_back() -> anyhow::Result<()> {
    let broker = Broker::shared().await?;
    broker.create_topic("shared", 4).await?;
    let mut producer = broker.producer();
    let mut committed = BTreeMap::new();
    let mut produced = 0..;
    let mut append =
        || -> Vec<_> { produced.by_ref().take(40).map(|i| record("shared", i % 4, &i.to_string())).collect() };
    let mut first = Member::new(&broker);
    producer.append(append()).await?;
    while first.read.len() < 40 {
        first.step(&mut committed).await?;
    }
    let mut second = Member::new(&broker);
    for _ in 0..PATIENCE {
        first.step(&mut committed).await?;
        second.step(&mut committed).await?;
        if first.has.len() == 2 && second.has.len() == 2 {
            break;
        }
    }
    assert!(first.has.is_disjoint(&second.has) && second.has.len() == 2, "{:?} {:?}", first.has, second.has);
    producer.append(append()).await?;
    while first.read.len() + second.read.len() < 80 {
        first.step(&mut committed).await?;
        second.step(&mut committed).await?;
    }
    let seen = second.read.clone();
    drop(second);
    while first.has.len() < 4 {
        first.step(&mut committed).await?;
    }
    producer.append(append()).await?;
    while first.read.len() + seen.len() < 120 {
        first.step(&mut committed).await?;
    }
    let mut all: Vec<u32> = first.read.iter().chain(&seen).map(|text| text.parse()).collect::<Result<_, _>>()?;
    all.sort_unstable();
    assert!(all.into_iter().eq(0..120), "each once");
    Ok(())
}

#[tokio::test]
async fn a_member_that_takes_nothing_holds_up_nobody() -> anyhow::Result<()> {
    let broker = Broker::shared().await?;
    broker.create_topic("shared", 2).await?;
    let mut producer = broker.producer();
    // More than a source holds.
    let text = "x".repeat(1000);
    for _ in 0..10 {
        producer.append((0..6000_u32).map(|i| record("shared", i % 2, &format!("{i} {text}"))).collect()).await?;
    }
    let mut busy = broker.source("members", "shared");
    assert_eq!(assigned(&mut busy).await?, [0, 1]);
    let first = read(&mut busy, 1, 1).await?.remove(0);
    assert_eq!(first.next_offset, 1);
    let mut other = broker.source("members", "shared");
    // Nobody polls the busy one meanwhile.
    let moved = assigned(&mut other).await?;
    assert_eq!(moved.len(), 1);
    let mut next: BTreeMap<u32, u64> = [(first.partition, 1)].into();
    let mut revoked = false;
    while !revoked || next.get(&(1 - moved[0])) != Some(&30_000) {
        match busy.poll(5000).await? {
            Polled::Records(batch) => {
                assert!(!revoked || batch.partition != moved[0]);
                let from = next.entry(batch.partition).or_default();
                assert!(batch.records.iter().map(|record| record.offset).eq(*from..batch.next_offset));
                *from = batch.next_offset;
            }
            Polled::Revoked(partitions) => {
                assert_eq!(partitions, moved);
                busy.pause(&partitions);
                revoked = true;
            }
            // A round of the group that gave it nothing new.
            Polled::Assigned(partitions) if partitions.is_empty() => {}
            Polled::Idle => {}
            found => bail!("expected records or a revocation, not {found:?}"),
        }
    }
    Ok(())
}

/// Fetching stops while nobody takes anything, and what was fetched until then is dropped: it must come again.
#[tokio::test]
async fn a_member_that_was_at_the_end_and_took_nothing_for_long_misses_nothing() -> anyhow::Result<()> {
    let broker = Broker::shared().await?;
    broker.create_topic("shared", 9).await?;
    let mut producer = broker.producer();
    let mut source = broker.source("members", "shared");
    assigned(&mut source).await?;
    while !matches!(source.poll(10).await?, Polled::Idle) {}
    // As many batches as wait to be taken, each of a partition whose end is reached then, and one that finds no room.
    producer.append((0..8).map(|i| record("shared", i, "0")).collect()).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    producer.append(vec![record("shared", 8, "0")]).await?;
    tokio::time::sleep(Duration::from_millis(200)).await;
    // These are fetched, and dropped when fetching stops a second later.
    producer.append((0..8).map(|i| record("shared", i, "1")).collect()).await?;
    // Statistics, which come every second, then tell that the end was reached.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let batches = read(&mut source, 17, 100).await?;
    assert_eq!(crate::broker::payloads(&batches).iter().filter(|text| *text == "1").count(), 8);
    Ok(())
}

/// Who loses a partition reads it on until it is paused, and reads the others on after that.
#[tokio::test]
async fn what_was_revoked_is_read_on_until_it_is_paused() -> anyhow::Result<()> {
    let broker = Broker::shared().await?;
    broker.create_topic("shared", 2).await?;
    let mut producer = broker.producer();
    let mut first = broker.source("members", "shared");
    assert_eq!(assigned(&mut first).await?, [0, 1]);
    let mut second = broker.source("members", "shared");
    let mut moved = None;
    for _ in 0..PATIENCE {
        second.poll(10).await?;
        if let Polled::Revoked(partitions) = first.poll(10).await? {
            moved = Some(partitions);
            break;
        }
    }
    let moved = moved.and_then(|moved| moved.first().copied()).context("nothing was revoked")?;
    producer.append((0..2).map(|partition| record("shared", partition, "after")).collect()).await?;
    let batches = read(&mut first, 2, 10).await?;
    assert_eq!(crate::broker::payloads(&batches), ["after", "after"], "of both partitions");
    assert!(first.seek(moved, 0).await.is_err(), "it is not ours any more");
    first.pause(&[moved]);
    producer.append((0..2).map(|partition| record("shared", partition, "later")).collect()).await?;
    let batches = read(&mut first, 1, 10).await?;
    assert_eq!(batches[0].partition, 1 - moved);
    assert!(matches!(first.poll(10).await?, Polled::Idle | Polled::Assigned(_)));
    // The other one gets both, as soon as this one leaves.
    let mut has = BTreeSet::new();
    for _ in 0..PATIENCE {
        first.leave().await;
        first.poll(10).await?;
        if let Polled::Records(batch) = second.poll(10).await? {
            has.extend(batch.records.iter().map(|record| (batch.partition, record.offset)));
        }
        if has.len() == 4 {
            return Ok(());
        }
    }
    bail!("only {has:?} came")
}

#[tokio::test]
async fn who_leaves_as_the_last_learns_that_nobody_is_there() -> anyhow::Result<()> {
    let broker = Broker::shared().await?;
    broker.create_topic("shared", 2).await?;
    let mut only = broker.source("members", "shared");
    assigned(&mut only).await?;
    broker.producer().append(vec![record("shared", 1, "still read")]).await?;
    let (mut records, mut asked) = (0, 0);
    while only.leave().await {
        asked += 1;
        assert!(asked < PATIENCE, "it is alone");
        if let Polled::Records(batch) = only.poll(10).await? {
            records += batch.records.len();
        }
    }
    records += if records == 0 { read(&mut only, 1, 10).await?.len() } else { 0 };
    assert_eq!(records, 1);
    Ok(())
}
