//! What every request passes: measuring, and a limit on its time.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;

use crate::problem::Problem;
use crate::service::MlService;

/// The route label of requests that no route took.
pub(crate) const UNMATCHED: &str = "unmatched";

/// Counts and times the request by its route, not by its path, of which there is no end.
pub(crate) async fn measure(State(service): State<MlService>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let route = route.as_ref().map_or(UNMATCHED, MatchedPath::as_str);
    service.metrics().count_request(route, response.status().as_u16(), started.elapsed().as_secs_f64());
    response
}

/// Gives up on a request that takes too long, be it that its body does not arrive.
pub(crate) async fn limit_time(State(service): State<MlService>, request: Request, next: Next) -> Response {
    let limit = service.limits().request_time;
    let path = request.uri().path().to_owned();
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::timeout(limit.as_secs_f64()).at(&path),
    }
}
