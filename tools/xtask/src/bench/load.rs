//! Load in a closed loop: each connection sends its next request when the answer to the last one is there.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use crate::http::{Connection, runtime};

/// What is asked, and how.
#[derive(Debug, Clone)]
pub(super) struct Load {
    /// Who answers; connections are dealt out evenly.
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) connections: usize,
    /// Requests, one after another; each connection begins with another one.
    pub(super) requests: Arc<[Vec<u8>]>,
    /// Bytes of binary values that each answer must have; without them it has JSON, however long.
    pub(super) binary: Option<usize>,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Measured {
    /// From the first byte of a request to the last of its answer, in microseconds.
    pub(super) latencies: Histogram<u64>,
    /// From the first request to the last answer.
    pub(super) took: Duration,
}

impl Measured {
    /// Answers a second.
    pub(super) fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.took.as_secs_f64()
    }
}

/// Asks for as long as `duration`, and waits for the answers that are out then.
///
/// # Errors
/// When one answer is not what it should be.
pub(super) fn run(load: &Load, duration: Duration) -> anyhow::Result<Measured> {
    runtime()?.block_on(async {
        let mut connections = Vec::new();
        for (index, &address) in load.addresses.iter().cycle().take(load.connections).enumerate() {
            let mut connection = Connection::open(address).await?;
            // Not measured: where threads, buffers and caches have to be set up first.
            ask(&mut connection, load, index).await?;
            connections.push(connection);
        }
        let started = Instant::now();
        let mut clients = JoinSet::new();
        for (index, connection) in connections.into_iter().enumerate() {
            let load = load.clone();
            clients.spawn(async move { client(connection, &load, index, started + duration).await });
        }
        let mut latencies = histogram()?;
        while let Some(client) = clients.join_next().await {
            latencies.add(client??).context("latencies cannot be added up")?;
        }
        Ok(Measured { latencies, took: started.elapsed() })
    })
}

/// An empty histogram of microseconds, for up to a minute, to three digits.
///
/// # Errors
/// Never, as the bounds are sound.
pub(super) fn histogram() -> anyhow::Result<Histogram<u64>> {
    Histogram::new_with_bounds(1, 60_000_000, 3).context("no histogram")
}

async fn client(
    mut connection: Connection,
    load: &Load,
    first: usize,
    until: Instant,
) -> anyhow::Result<Histogram<u64>> {
    let mut latencies = histogram()?;
    let mut began = Instant::now();
    // Connections begin far apart, so that they do not ask the same at the same time.
    for index in (first * load.requests.len() / load.connections)..usize::MAX {
        ask(&mut connection, load, index).await?;
        let ended = Instant::now();
        latencies.saturating_record(u64::try_from((ended - began).as_micros()).unwrap_or(u64::MAX));
        if ended >= until {
            break;
        }
        began = ended;
    }
    Ok(latencies)
}

async fn ask(connection: &mut Connection, load: &Load, index: usize) -> anyhow::Result<()> {
    let request = load.requests.get(index % load.requests.len()).context("there are no requests")?;
    let answer = connection.ask(request).await?;
    let text = || String::from_utf8_lossy(answer.body).chars().take(200).collect::<String>();
    ensure!(answer.status == 200, "the answer is {}: {}", answer.status, text());
    match load.binary {
        Some(bytes) => {
            let found = answer.body.len().saturating_sub(answer.json_length);
            ensure!(found == bytes, "{found} bytes of values came instead of {bytes}");
        }
        None => ensure!(answer.body.starts_with(b"{") && answer.body.ends_with(b"}"), "no JSON came: {}", text()),
    }
    Ok(())
}
