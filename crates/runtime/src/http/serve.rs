//! Serving until asked to stop, then letting go without cutting anybody off.

use std::io;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::middleware::{self, Next};
use axum::response::Response;
use futures_util::StreamExt as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How long requests may go on after `stop`.
pub const GRACE: Duration = Duration::from_secs(5);

/// Serves `router` until `stop`. Then no new connection is accepted, event streams end at once, and requests under way
/// have [`GRACE`] to finish.
///
/// # Errors
/// When the listener fails for good.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) -> io::Result<()> {
    serve_with_grace(listener, router, stop, GRACE).await
}

async fn serve_with_grace(
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
    grace: Duration,
) -> io::Result<()> {
    let router = router.layer(middleware::from_fn_with_state(stop.clone(), end_event_streams));
    let server = axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
    tokio::select! {
        result = server.into_future() => result,
        () = is_over(grace, &stop) => {
            tracing::warn!(grace_seconds = grace.as_secs_f64(), "requests were still under way when the time to stop was over");
            Ok(())
        }
    }
}

async fn is_over(grace: Duration, stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(grace).await;
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
