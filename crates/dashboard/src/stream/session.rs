//! One client of the stream.

use std::collections::VecDeque;
use std::convert::Infallible;

use axum::body::Bytes;
use prometheus::IntGauge;
use pulse_core::ports::AnomalyQuery;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::sleep;

use super::frame::{self, Batch};
use super::hub::News;
use crate::problem::Problem;
use crate::server::Shared;

/// Anomalies read at once while catching up.
const PAGE: u32 = 200;

/// Counts a client as long as it lives.
#[derive(Debug)]
struct Counted(IntGauge);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// What a client has got, and what comes next.
pub(super) struct Session<Q> {
    app: Shared<Q>,
    news: Receiver<News>,
    /// Events that wait to be sent.
    ready: VecDeque<Bytes>,
    /// The client has everything up to here.
    sent: u64,
    catching_up: bool,
    _counted: Counted,
}

impl<Q: AnomalyQuery> Session<Q> {
    /// Starts behind `after`, else at the present.
    pub(super) async fn start(app: Shared<Q>, after: Option<u64>) -> Result<Self, Problem> {
        let limit = app.options.max_stream_clients;
        app.metrics.stream_clients.inc();
        let counted = Counted(app.metrics.stream_clients.clone());
        if usize::try_from(app.metrics.stream_clients.get()).is_ok_and(|clients| clients > limit) {
            return Err(Problem::too_many_streams(limit));
        }
        // Listen first, then look where the store stands: nothing can fall in between.
        let news = app.hub.subscribe();
        let position = tokio::time::timeout(app.options.query_timeout, app.hub.started()).await;
        let position = position.map_err(|_| Problem::timed_out())?;
        let mut session =
            Self { app, news, ready: VecDeque::new(), sent: position, catching_up: false, _counted: counted };
        session.ready.push_back(frame::hello(after.unwrap_or(position)));
        if let Some(after) = after {
            session.go_on(after, position).await?;
        }
        Ok(session)
    }

    /// Goes on behind `after`, while the hub stands at `position`.
    async fn go_on(&mut self, after: u64, position: u64) -> Result<(), Problem> {
        if after > position && after > self.app.store.last_sequence().await? {
            // The client has seen another store than this one.
            self.resync(position);
        } else if position.saturating_sub(after) > self.app.options.max_replay {
            self.resync(position);
        } else {
            self.sent = after;
            self.catching_up = after < position;
        }
        Ok(())
    }

    fn resync(&mut self, position: u64) {
        self.app.metrics.stream_resyncs.inc();
        self.sent = position;
        self.ready.push_back(frame::resync(position));
    }

    /// The next bytes for the client, for [`futures_util::stream::unfold`]; none when the server stops.
    pub(super) async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Some((Ok(bytes), self));
            }
            let stop = self.app.stop.clone();
            tokio::select! {
                biased;
                () = stop.cancelled() => return None,
                more = self.wait() => {
                    if !more {
                        return None;
                    }
                }
            }
        }
    }

    /// Waits until something is ready; false when the stream must end.
    async fn wait(&mut self) -> bool {
        if self.catching_up {
            return self.catch_up().await;
        }
        let keep_alive = self.app.options.keep_alive;
        tokio::select! {
            news = self.news.recv() => match news {
                Ok(News::Batch(batch)) => self.push(&batch),
                Ok(News::Skipped(position)) if position > self.sent => self.resync(position),
                Ok(News::Skipped(_)) => {}
                Err(RecvError::Lagged(_)) => {
                    self.news = self.app.hub.subscribe();
                    let position = self.app.hub.position().unwrap_or(self.sent);
                    self.resync(position);
                }
                Err(RecvError::Closed) => return false,
            },
            () = sleep(keep_alive) => self.ready.push_back(frame::keep_alive()),
        }
        true
    }

    /// Reads a page of what the client missed. Ends the stream when the store fails: the client comes back.
    async fn catch_up(&mut self) -> bool {
        let Ok(rows) = self.app.store.since(self.sent, PAGE).await else {
            return false;
        };
        self.catching_up = rows.len() == PAGE as usize;
        for batch in Batch::split(&rows) {
            self.push(&batch);
        }
        true
    }

    fn push(&mut self, batch: &Batch) {
        if let Some(event) = batch.event(self.sent) {
            self.sent = batch.last().unwrap_or(self.sent);
            self.ready.push_back(event);
        }
    }
}
