//! What goes on beside the requests: looking up the addresses again, and asking those that were left whether they are ready.

use std::sync::Arc;

use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use super::Shared;
use super::http::Question;
use super::pool::Way;

/// Bytes that the answer of a model that is ready may have.
const READY_BYTES: usize = 64 << 10;

/// The work beside the requests; ends when this is dropped.
#[derive(Debug)]
pub(super) struct Keeper(AbortHandle);

impl Keeper {
    pub(super) fn start(shared: Arc<Shared>) -> Self {
        Self(tokio::spawn(keep(shared)).abort_handle())
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn keep(shared: Arc<Shared>) {
    let pool = &shared.pool;
    let every = pool.options.resolve_every;
    let mut resolve_at = Instant::now() + every;
    let mut jobs = JoinSet::new();
    loop {
        let wake_at = pool.next_probe().map_or(resolve_at, |at| at.min(resolve_at));
        tokio::select! {
            () = tokio::time::sleep_until(wake_at) => {}
            () = pool.changed.notified() => {}
            Some(_) = jobs.join_next() => continue,
        }
        let now = Instant::now();
        if now >= resolve_at {
            resolve_at = now + every;
            let shared = Arc::clone(&shared);
            // A failure is told where it happens, and leaves the addresses as they are.
            jobs.spawn(async move { drop(shared.pool.resolve(now).await) });
        }
        for way in pool.take_due(now) {
            let shared = Arc::clone(&shared);
            jobs.spawn(async move { shared.probe(&way).await });
        }
    }
}

impl Shared {
    /// Asks an address that was left whether it has the model that is asked for.
    async fn probe(&self, way: &Way) {
        let path = format!("/v2/models/{}/versions/{}/ready", self.use_case, self.pinned().version);
        let question = Question::get(path, READY_BYTES);
        let answer = way.client().ask_within(self.pool.options.connect_time, way.endpoint(), &question).await;
        match answer.and_then(super::http::Answer::accepted) {
            Ok(_) => self.pool.ready(way),
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "an address is not ready");
                self.pool.failed(way, &error);
            }
        }
    }
}
