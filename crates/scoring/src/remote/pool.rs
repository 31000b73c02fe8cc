//! The addresses of the server: which there are, which work, and which is asked next.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::IntGauge;
use pulse_core::Backoff;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::RemoteOptions;
use super::circuit::{Circuit, State};
use super::error::RemoteError;
use super::http::{Client, Endpoint, Server};
use super::metrics::{Outcome, RemoteMetrics};
use super::resolve::{Resolve, in_order};

/// The addresses of a server.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) server: Arc<Server>,
    pub(super) options: RemoteOptions,
    resolver: Arc<dyn Resolve>,
    metrics: Option<RemoteMetrics>,
    table: Mutex<Table>,
    /// One lookup at a time.
    lookup: tokio::sync::Mutex<Lookup>,
    /// An address may want to be probed sooner than was known.
    pub(super) changed: Notify,
}

#[derive(Debug, Default)]
struct Table {
    rows: Vec<Row>,
    turn: usize,
}

#[derive(Debug)]
struct Row {
    peer: Arc<Peer>,
    client: Client,
    circuit: Circuit,
}

#[derive(Debug, Default)]
struct Lookup {
    ended: Option<Instant>,
    failing: bool,
}

/// An address, and how many requests wait for its answer.
#[derive(Debug)]
struct Peer {
    endpoint: Endpoint,
    in_flight: AtomicUsize,
}

/// How willingly a row is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Working,
    /// It is on trial, and one request is under way.
    OnTrial,
    Left,
}

/// The way to an address.
#[derive(Debug, Clone)]
pub(super) struct Way {
    peer: Arc<Peer>,
    client: Client,
}

/// The way to an address, for one request.
#[derive(Debug)]
pub(super) struct Lease {
    way: Way,
    in_flight: Option<IntGauge>,
}

impl Pool {
    pub(super) fn new(
        server: Server,
        options: RemoteOptions,
        resolver: Arc<dyn Resolve>,
        metrics: Option<RemoteMetrics>,
    ) -> Self {
        let (table, lookup) = (Mutex::default(), tokio::sync::Mutex::default());
        Self { server: Arc::new(server), options, resolver, metrics, table, lookup, changed: Notify::new() }
    }

    /// Looks the addresses up, unless somebody has done so after `since`. When that fails, they stay what they are.
    pub(super) async fn resolve(&self, since: Instant) -> Result<(), RemoteError> {
        let mut lookup = self.lookup.lock().await;
        if lookup.ended.is_some_and(|ended| ended >= since) {
            return Ok(());
        }
        let looked_up = self.resolver.resolve(&self.server.host, self.server.port);
        let looked_up = tokio::time::timeout(self.options.connect_time, looked_up).await;
        lookup.ended = Some(Instant::now());
        let none = |reason: &str| Err(io::Error::other(reason.to_owned()));
        match looked_up.unwrap_or_else(|_| none("looking up its name takes too long")).map(in_order) {
            Ok(addresses) if !addresses.is_empty() => {
                lookup.failing = false;
                self.update(addresses);
                Ok(())
            }
            failed => {
                let error = failed.err().unwrap_or_else(|| io::Error::other("its name has no address"));
                if let Some(metrics) = &self.metrics {
                    metrics.lookup_failures.inc();
                }
                if !std::mem::replace(&mut lookup.failing, true) {
                    tracing::warn!(%error, url = self.server.base(), "the ml service's addresses are not found anew");
                }
                Err(RemoteError::Unreachable { url: self.server.base().to_owned(), source: error.into() })
            }
        }
    }

    /// These are the addresses. Of one that is gone, requests under way still get their answers.
    fn update(&self, addresses: Vec<SocketAddr>) {
        let mut table = self.table();
        let before = table.rows.len();
        table.rows.retain(|row| addresses.contains(&row.peer.endpoint.address));
        let removed = before - table.rows.len();
        let (now, known) = (Instant::now(), table.rows.len());
        for address in addresses {
            if table.rows.iter().all(|row| row.peer.endpoint.address != address) {
                let endpoint = Endpoint::new(Arc::clone(&self.server), address);
                let circuit = Circuit::new(Backoff::new(self.options.first_pause, self.options.longest_pause), now);
                let peer = Arc::new(Peer { endpoint, in_flight: AtomicUsize::new(0) });
                table.rows.push(Row { peer, client: self.client(), circuit });
            }
        }
        let added = table.rows.len() - known;
        if added + removed > 0 {
            let addresses = table.rows.len();
            tracing::info!(url = self.server.base(), addresses, added, removed, "addresses of the ml service");
            self.show(&table);
            self.changed.notify_one();
        }
    }

    fn client(&self) -> Client {
        Client::new(self.options.connect_time)
    }

    /// The address to ask next, of those not in `tried`: one that works, with the fewest requests under way, in turn where
    /// several have as few. One that was left only when `any` will do.
    pub(super) fn lease(&self, tried: &[SocketAddr], any: bool) -> Option<Lease> {
        let mut table = self.table();
        let (count, turn) = (table.rows.len(), table.turn);
        let candidates = (0..count).map(|step| &table.rows[(turn + step) % count]);
        let candidates = candidates.filter(|row| !tried.contains(&row.peer.endpoint.address));
        let candidates = candidates.map(|row| (row.rank(), row.in_flight(), row));
        let best =
            candidates.filter(|(rank, ..)| any || *rank < Rank::Left).min_by_key(|&(rank, busy, _)| (rank, busy));
        let way = best?.2.way();
        // While the table is locked, so that the next one sees it.
        way.peer.in_flight.fetch_add(1, Ordering::Relaxed);
        table.turn = (turn + 1) % count;
        let in_flight = self.metrics.as_ref().map(|metrics| metrics.in_flight.clone());
        in_flight.iter().for_each(IntGauge::inc);
        Some(Lease { way, in_flight })
    }

    /// Whether there is an address that works, besides those of `tried`.
    pub(super) fn has_other(&self, tried: &[SocketAddr]) -> bool {
        let is_other = |row: &Row| row.rank() == Rank::Working && !tried.contains(&row.peer.endpoint.address);
        self.table().rows.iter().any(is_other)
    }

    /// Whether no address is left that is not in `tried`.
    pub(super) fn all_tried(&self, tried: &[SocketAddr]) -> bool {
        self.table().rows.iter().all(|row| tried.contains(&row.peer.endpoint.address))
    }

    /// Whether the address has never answered.
    pub(super) fn is_new(&self, way: &Way) -> bool {
        let is_it = |row: &&Row| Arc::ptr_eq(&row.peer, &way.peer);
        self.table().rows.iter().find(is_it).is_some_and(|row| row.circuit.state() == State::New)
    }

    /// The ways to all addresses, in their order.
    pub(super) fn ways(&self) -> Vec<Way> {
        let mut ways: Vec<Way> = self.table().rows.iter().map(Row::way).collect();
        ways.sort_unstable_by_key(Way::address);
        ways
    }

    /// When the next address wants to be probed.
    pub(super) fn next_probe(&self) -> Option<Instant> {
        self.table().rows.iter().filter_map(|row| row.circuit.probe_at()).min()
    }

    /// The ways to those that want to be probed now, and are.
    pub(super) fn take_due(&self, now: Instant) -> Vec<Way> {
        let mut table = self.table();
        let due = table.rows.iter_mut().filter(|row| row.circuit.probe_at().is_some_and(|at| at <= now));
        due.map(|row| {
            row.circuit.probing();
            row.way()
        })
        .collect()
    }

    /// Counts what became of a request.
    pub(super) fn count(&self, outcome: Outcome) {
        self.metrics.iter().for_each(|metrics| metrics.count(outcome));
    }

    /// Shows that a model scores.
    pub(super) fn show_model(&self) {
        self.metrics.iter().for_each(RemoteMetrics::show_model);
    }

    /// The address answered as it should.
    pub(super) fn answered(&self, way: &Way) {
        self.change(way, |row| row.circuit.answered());
    }

    /// The address says that it is ready.
    pub(super) fn ready(&self, way: &Way) {
        self.change(way, |row| row.circuit.ready());
    }

    /// The address failed, and is left for a while.
    pub(super) fn failed(&self, way: &Way, error: &RemoteError) {
        self.change(way, |row| {
            let (was, address) = (row.circuit.works(), row.peer.endpoint.address);
            let Some(pause) = row.circuit.failed(Instant::now(), rand::random()) else { return };
            if was {
                // Its idle connections are most likely no better: the next request opens one.
                row.client = self.client();
                let (error, pause_ms) = (error as &dyn std::error::Error, pause.as_millis());
                tracing::warn!(error, %address, pause_ms, "an address of the ml service is left");
            }
            self.changed.notify_one();
        });
    }

    fn change(&self, way: &Way, change: impl FnOnce(&mut Row)) {
        let mut table = self.table();
        // It may be gone meanwhile.
        let Some(row) = table.rows.iter_mut().find(|row| Arc::ptr_eq(&row.peer, &way.peer)) else { return };
        let before = row.circuit.state();
        change(row);
        let now = row.circuit.state();
        if before != now {
            if now == State::Closed {
                tracing::info!(address = %way.address(), "an address of the ml service answers");
            }
            self.show(&table);
        }
    }

    fn show(&self, table: &Table) {
        if let Some(metrics) = &self.metrics {
            metrics.show(&table.rows.iter().map(|row| row.circuit.state()).collect::<Vec<_>>());
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Row {
    fn in_flight(&self) -> usize {
        self.peer.in_flight.load(Ordering::Relaxed)
    }

    fn rank(&self) -> Rank {
        match self.circuit.state() {
            State::HalfOpen if self.in_flight() > 0 => Rank::OnTrial,
            State::Closed | State::HalfOpen => Rank::Working,
            State::New | State::Open => Rank::Left,
        }
    }

    fn way(&self) -> Way {
        Way { peer: Arc::clone(&self.peer), client: self.client.clone() }
    }
}

impl Way {
    pub(super) fn address(&self) -> SocketAddr {
        self.peer.endpoint.address
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.peer.endpoint
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }
}

impl std::ops::Deref for Lease {
    type Target = Way;

    fn deref(&self) -> &Way {
        &self.way
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.way.peer.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.in_flight.iter().for_each(IntGauge::dec);
    }
}

#[cfg(test)]
mod tests;
