//! How fast the services are, each a process of its own, on a real Kafka and a real Postgres on this machine.
//!
//! A backlog first: the simulator fills the input topic, then ML service, processor and writer work it off. Then a steady
//! stream, for the latency from the creation of an event to its committed verdict.

#![expect(clippy::print_stdout, reason = "its figures are what it is for")]

use std::time::{Duration, Instant};

use anyhow::Context as _;
use pulse_e2e::{Process, Stack, get, until};

const EVENTS: &str = "pulse_processor_events_total";
/// Events that are waited for at once, however many there are: nothing is waited for without end.
const PART: u32 = 1_000_000;
/// How long the stream for the latency goes on.
const STREAM: Duration = Duration::from_secs(20);
/// Events per second of the stream.
const STREAM_RATE: u32 = 10_000;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let use_case = args.next().unwrap_or_else(|| "nyc_taxi".to_owned());
    let events: u32 = args.next().unwrap_or_else(|| "1000000".to_owned()).parse().context("the number of events")?;
    let stack = Stack::start().await?;
    backlog(&stack, &use_case, events).await?;
    stream(&stack, &use_case).await
}

/// Simulator options for `events` events as fast as possible.
fn as_fast_as_possible(events: &str) -> [(&str, &str); 2] {
    [("PULSE__SIMULATOR__RATE", "max"), ("PULSE__SIMULATOR__EVENTS", events)]
}

async fn backlog(stack: &Stack, use_case: &str, events: u32) -> anyhow::Result<()> {
    let started = Instant::now();
    for part in parts(events) {
        let mut simulator = stack.service("simulator", use_case, &as_fast_as_possible(&part.to_string()))?;
        anyhow::ensure!(simulator.end().await?.success(), "{:?}", simulator.said());
    }
    println!("{use_case}, {events} events, one broker, all on this machine");
    println!("  produced   {:>9.0} events/s, starts of the simulator included", per_second(events, started.elapsed()));

    let mut ml_service = stack.service("ml-service", use_case, &[])?;
    ml_service.ready().await?;
    let mut writer = stack.service("anomaly-writer", use_case, &[])?;
    writer.ready().await?;
    let url = ml_service.url().await?;
    let started = Instant::now();
    let mut processor = stack.service("stream-processor", use_case, &[("PULSE__SCORER__URL", &url)])?;
    processor.ready().await?;
    let mut began = None;
    let mut wanted = 0;
    for part in parts(events) {
        wanted += part;
        until("the backlog", async || {
            let done = processor.metric(EVENTS, "").await?;
            if done > 0.0 && began.is_none() {
                began = Some((Instant::now(), done));
            }
            Ok(done >= f64::from(wanted))
        })
        .await?;
    }
    let (since, before) = began.context("nothing was processed")?;
    println!("  judged     {:>9.0} events/s", (f64::from(events) - before) / since.elapsed().as_secs_f64());
    println!("             {:>9.0} events/s, start of the processor included", per_second(events, started.elapsed()));
    let anomalies = processor.metric("pulse_processor_anomalies_total", "").await?;
    until("the database", async || Ok(stack.count().await? as f64 >= anomalies)).await?;
    println!("  stored     {anomalies:>9.0} anomalies, {:.1} s after the start", started.elapsed().as_secs_f64());
    for (name, process) in [("processor", &processor), ("ml-service", &ml_service), ("writer", &writer)] {
        let (cpu, peak) = process.usage()?;
        let per_million = cpu / f64::from(events) * 1e6;
        println!("  {name:<10} {cpu:>9.1} CPU s, {per_million:.2} per million events, {} MiB at the most", peak >> 20);
    }
    for process in [processor, writer, ml_service] {
        process.stop().await?;
    }
    Ok(())
}

/// `events` in parts that are small enough to be waited for.
fn parts(events: u32) -> impl Iterator<Item = u32> {
    (0..events.div_ceil(PART)).map(move |part| PART.min(events - part * PART))
}

async fn stream(stack: &Stack, use_case: &str) -> anyhow::Result<()> {
    let mut ml_service = stack.service("ml-service", use_case, &[])?;
    ml_service.ready().await?;
    let url = ml_service.url().await?;
    let mut processor = stack.service("stream-processor", use_case, &[("PULSE__SCORER__URL", &url)])?;
    processor.ready().await?;
    let (rate, events) = (STREAM_RATE.to_string(), (u64::from(STREAM_RATE) * STREAM.as_secs()).to_string());
    let pace = [("PULSE__SIMULATOR__RATE", rate.as_str()), ("PULSE__SIMULATOR__EVENTS", &events)];
    let mut simulator = stack.service("simulator", use_case, &pace)?;
    // The first seconds warm up caches and connections.
    tokio::time::sleep(STREAM / 4).await;
    let before = latencies(&mut processor).await?;
    anyhow::ensure!(simulator.end().await?.success(), "{:?}", simulator.said());
    let after = latencies(&mut processor).await?;
    let recent: Vec<(f64, f64)> = after.iter().zip(&before).map(|((le, a), (_, b))| (*le, a - b)).collect();
    println!("  at {STREAM_RATE} events/s, from an event's creation to its committed verdict:");
    for quantile in [0.5, 0.99] {
        println!("  p{:<9} {:>9.1} ms", quantile * 100.0, quantile_of(&recent, quantile) * 1000.0);
    }
    processor.stop().await?;
    ml_service.stop().await?;
    Ok(())
}

/// The cumulative buckets of the latency: upper bound in seconds, and events.
async fn latencies(processor: &mut Process) -> anyhow::Result<Vec<(f64, f64)>> {
    let body = get(&format!("{}/metrics", processor.url().await?))?.body;
    let bucket = |line: &str| {
        let (bound, count) = line.strip_prefix("pulse_processor_latency_seconds_bucket{le=\"")?.split_once("\"} ")?;
        let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().ok()? };
        Some((bound, count.parse().ok()?))
    };
    Ok(body.lines().filter_map(bucket).collect())
}

/// As Prometheus' `histogram_quantile`: linear within the bucket.
fn quantile_of(buckets: &[(f64, f64)], quantile: f64) -> f64 {
    let wanted = buckets.last().map_or(0.0, |(_, all)| all * quantile);
    let (mut low, mut below) = (0.0, 0.0);
    for &(high, count) in buckets {
        if count >= wanted {
            return if high.is_finite() {
                low + (high - low) * (wanted - below) / (count - below).max(1.0)
            } else {
                low
            };
        }
        (low, below) = (high, count);
    }
    low
}

fn per_second(events: u32, elapsed: Duration) -> f64 {
    f64::from(events) / elapsed.as_secs_f64()
}
