//! Serving until asked to stop, then letting go without cutting anybody off.

use std::io;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::serve::Listener;
use futures_util::StreamExt as _;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How long requests may go on after `stop`.
pub const GRACE: Duration = Duration::from_secs(5);
/// How long a connection may wait for the whole head of its next request. Our own client closes an idle one after 30 s; others may
/// find theirs closed, as with any server.
const HEAD: Duration = Duration::from_secs(120);

/// Serves `router` until `stop`. Then no new connection is accepted, event streams end at once, and requests under way
/// have [`GRACE`] to finish. A connection that waits two minutes for the whole head of a request is closed.
///
/// # Errors
/// None that are known: whoever cannot be let in now is let in later.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) -> io::Result<()> {
    serve_within(listener, router, stop, Limits { grace: GRACE, head: HEAD }).await
}

/// See [`GRACE`] and [`HEAD`].
#[derive(Debug, Clone, Copy)]
struct Limits {
    grace: Duration,
    head: Duration,
}

/// `axum::serve` sets no limit to the time that a client takes, nor to that for which it is silent.
async fn serve_within(
    mut listener: TcpListener,
    router: Router,
    stop: CancellationToken,
    limits: Limits,
) -> io::Result<()> {
    let router = router.layer(middleware::from_fn_with_state(stop.clone(), end_event_streams));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.head);
    let connections = GracefulShutdown::new();
    while let Some((stream, _)) = stop.run_until_cancelled(Listener::accept(&mut listener)).await {
        // Events are small, and each is to arrive at once.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection stays slow for what is small");
        }
        let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router.clone()));
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }
    drop(listener);
    if timeout(limits.grace, connections.shutdown()).await.is_err() {
        let grace_seconds = limits.grace.as_secs_f64();
        tracing::warn!(grace_seconds, "requests were still under way when the time to stop was over");
    }
    Ok(())
}

/// An event stream lasts as long as its reader, so that waiting for its end would hang the shutdown. Its readers
/// reconnect by themselves; to cut any other body short would hand out half a document.
async fn end_event_streams(State(stop): State<CancellationToken>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let is_stream = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.starts_with("text/event-stream"));
    if !is_stream {
        return response;
    }
    response.map(|body| Body::from_stream(body.into_data_stream().take_until(stop.cancelled_owned())))
}

#[cfg(test)]
mod tests;
