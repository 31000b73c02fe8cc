//! The JSON API.

pub(crate) mod anomalies;
pub(crate) mod series;
pub(crate) mod summary;
pub(crate) mod top;

use axum::Json;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// What a handler answers.
pub(crate) type Answer = Result<Response, crate::problem::Problem>;

/// The parameters of a filter, for messages.
const FILTER: &str = "use_case, entity, detector, severity";

/// A JSON answer that no cache may keep.
fn fresh(body: impl Serialize) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}
