//! How fast events go into Kafka, out of it, and through transactions: `throughput <brokers> [<property>=<value>…]`.
//!
//! Properties stand above ours, so that others can be tried.

#![expect(clippy::print_stdout, reason = "the answer of a command line goes to its terminal")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use hdrhistogram::Histogram;
use pulse_core::ports::{Commit, Committer as _, EventProducer as _, EventSource as _, Polled};
use pulse_core::{Headers, NewRecord};
use pulse_kafka::{
    KafkaCommitter, KafkaProducer, KafkaSettings, KafkaSource, StartAt, TopicSpec, ensure_topics, wait_for_brokers,
};

const PARTITIONS: u32 = 12;
const EVENTS: u64 = 3_000_000;
/// Events of one append.
const APPEND: u64 = 20_000;
/// Outputs of one transaction, and rounds of one transaction for each partition.
const OUTPUTS: u64 = 1000;
const ROUNDS: u64 = 60;

/// An event of 150 bytes of JSON.
fn event(topic: &Arc<str>, n: u64, partition: Option<u32>) -> NewRecord {
    let zone = format!("Zone {:03}", n.wrapping_mul(6_364_136_223_846_793_005) >> 56);
    let payload = format!(
        "{{\"pickup_zone\":\"{zone}\",\"pickup_datetime\":\"2026-05-28T10:00:00Z\",\"trip_distance\":{:06.2},\
         \"fare_amount\":{:06.2},\"tip_amount\":{:05.2},\"n\":{n:012}}}",
        (n % 90_000) as f64 / 100.0,
        (n % 70_001) as f64 / 100.0,
        (n % 9_001) as f64 / 100.0,
    );
    NewRecord {
        topic: Arc::clone(topic),
        partition,
        timestamp: 1_780_000_000_000,
        key: Some(Bytes::from(zone)),
        payload: Bytes::from(payload),
        headers: Headers::default(),
    }
}

fn rate(events: u64, took: Duration) -> f64 {
    events as f64 / took.as_secs_f64() / 1000.0
}

async fn produce(settings: &KafkaSettings, topic: &Arc<str>) -> anyhow::Result<()> {
    let mut producer = KafkaProducer::new(settings)?;
    let mut took = Duration::ZERO;
    for call in 0..EVENTS / APPEND {
        let records = (call * APPEND..(call + 1) * APPEND).map(|n| event(topic, n, None)).collect();
        let begun = Instant::now();
        producer.append(records).await?;
        took += begun.elapsed();
    }
    println!("produce  {:8.0} k/s, {APPEND} an append", rate(EVENTS, took));
    Ok(())
}

async fn consume(settings: &KafkaSettings, topic: &str, group: &str) -> anyhow::Result<()> {
    let mut source = KafkaSource::new(settings, group, topic)?;
    let (mut found, mut batches, mut begun) = (0, 0_u64, Instant::now());
    while found < EVENTS {
        match source.poll(4096).await? {
            Polled::Assigned(_) => begun = Instant::now(),
            Polled::Records(batch) => {
                found += batch.records.len() as u64;
                batches += 1;
            }
            Polled::Revoked(_) | Polled::Idle => {}
        }
    }
    println!("consume  {:8.0} k/s, {} a batch", rate(found, begun.elapsed()), found / batches);
    Ok(())
}

async fn commit(settings: &KafkaSettings, input: &str, output: &Arc<str>, state: &str) -> anyhow::Result<()> {
    let committer = KafkaCommitter::new(settings, "commit", input, state, StartAt::Earliest)?;
    let all: Vec<u32> = (0..PARTITIONS).collect();
    let begun = Instant::now();
    let mut restored = Ok(());
    committer
        .restore(&all, |_, result| {
            if let Err(error) = result {
                restored = Err(error);
            }
        })
        .await;
    restored?;
    println!("restore  {:8.0} ms for {PARTITIONS} partitions", begun.elapsed().as_secs_f64() * 1000.0);
    for outputs in [0, 10, OUTPUTS] {
        let mut times = Histogram::<u64>::new(3)?;
        for round in 1..=ROUNDS {
            let commits: Vec<Commit> = all
                .iter()
                .map(|&partition| Commit {
                    partition,
                    next_offset: committed(outputs, round),
                    outputs: (0..outputs).map(|n| event(output, n, None)).collect(),
                    ..Commit::default()
                })
                .collect();
            let begun = Instant::now();
            for result in committer.commit(&commits).await {
                result?;
            }
            times.record(u64::try_from(begun.elapsed().as_micros())?)?;
        }
        let ms = |quantile| times.value_at_quantile(quantile) as f64 / 1000.0;
        let transactions = f64::from(PARTITIONS) * 1000.0 / (times.mean() / 1000.0);
        println!(
            "commit   {transactions:8.0} transactions/s, {:.0} k outputs/s; {PARTITIONS} partitions at once with {outputs} \
             outputs each: p50 {:.1} ms, p99 {:.1} ms",
            transactions * outputs as f64 / 1000.0,
            ms(0.5),
            ms(0.99)
        );
    }
    Ok(())
}

/// Positions rise from one run to the next.
fn committed(outputs: u64, round: u64) -> u64 {
    outputs * ROUNDS + round
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let mut settings = KafkaSettings::new(args.next().context("usage: throughput <brokers> [<property>=<value>…]")?);
    for property in args {
        let (name, value) = property.split_once('=').context("a property has the form <name>=<value>")?;
        settings.properties.insert(name.to_owned(), value.to_owned());
    }
    wait_for_brokers(&settings).await?;
    let run = std::process::id();
    let [input, output, state] = ["input", "output", "state"].map(|name| format!("throughput.{run}.{name}"));
    let state_spec = TopicSpec { name: state.clone(), ..TopicSpec::state("any", PARTITIONS, None) };
    let mut topics =
        [TopicSpec::input(&input, PARTITIONS, None), TopicSpec::input(&output, PARTITIONS, None), state_spec];
    for topic in &mut topics[..2] {
        // Events have a time of their own, at which retention would go for them.
        topic.configs.insert("retention.ms".to_owned(), "-1".to_owned());
    }
    ensure_topics(&settings, &topics, true).await?;
    let topic: Arc<str> = Arc::from(input.as_str());
    produce(&settings, &topic).await?;
    for group in ["first", "second"] {
        consume(&settings, &input, &format!("{group}-{run}")).await?;
    }
    commit(&settings, &input, &Arc::from(output.as_str()), &state).await
}
