//! Where the follower leaves what it read, and sessions pick it up.

use std::sync::Arc;

use tokio::sync::{broadcast, watch};

use super::frame::Batch;

/// How many batches a client may lie behind.
const BACKLOG: usize = 64;

/// What the follower found.
#[derive(Debug, Clone)]
pub(super) enum News {
    /// New anomalies.
    Batch(Arc<Batch>),
    /// Too many to pass on: clients should read everything again and go on behind this sequence.
    Skipped(u64),
}

/// Broadcasts news. A client that lies too far behind loses some, and knows it.
#[derive(Debug)]
pub(crate) struct Hub {
    news: broadcast::Sender<News>,
    position: watch::Sender<Option<u64>>,
}

impl Hub {
    /// A hub without news.
    pub(crate) fn new() -> Self {
        Self { news: broadcast::Sender::new(BACKLOG), position: watch::Sender::new(None) }
    }

    /// Up to which sequence news was told; none until the store has answered once.
    pub(crate) fn position(&self) -> Option<u64> {
        *self.position.borrow()
    }

    /// Receives all news behind the position that stands after this call.
    pub(super) fn subscribe(&self) -> broadcast::Receiver<News> {
        self.news.subscribe()
    }

    /// Waits until the store has answered once.
    pub(super) async fn started(&self) -> u64 {
        let mut position = self.position.subscribe();
        // The sender lives as long as `self`, so that this ends only with a position.
        match position.wait_for(Option::is_some).await {
            Ok(position) => position.unwrap_or(0),
            Err(_) => 0,
        }
    }

    /// Moves to `position` without news.
    pub(super) fn start(&self, position: u64) {
        self.position.send_replace(Some(position));
    }

    /// Tells news. The position moves first: whoever subscribes in between reads the rest from the store.
    pub(super) fn tell(&self, position: u64, news: News) {
        self.position.send_replace(Some(position));
        // Fails only where nobody listens.
        drop(self.news.send(news));
    }
}
