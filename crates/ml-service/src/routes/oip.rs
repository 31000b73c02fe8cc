//! `/v2`: the Open Inference Protocol.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use pulse_scoring::Model;
use pulse_scoring::oip::{HEADER_LENGTH, Message, ModelMetadata, header_length};
use serde::Deserialize;
use serde_json::{Value, json};

use super::predict::INLINE_ROWS;
use crate::body::Admitted;
use crate::infer::{Inference, broken, max_rows};
use crate::path::Path;
use crate::problem::{OipProblem, Problem};
use crate::served::ServedUseCase;
use crate::service::MlService;

pub(crate) const INFER: &str = "/v2/models/{use_case}/infer";
pub(crate) const INFER_VERSION: &str = "/v2/models/{use_case}/versions/{version}/infer";

type Answer = Result<Response, OipProblem>;

/// The model that a path names. Without a version, the one in force is meant, once the body is there.
#[derive(Debug, Deserialize)]
struct Named {
    use_case: String,
    #[serde(default)]
    version: Option<String>,
}

pub(super) fn router() -> Router<MlService> {
    Router::new()
        .route("/v2", get(server))
        .route("/v2/health/live", get(live))
        .route("/v2/health/ready", get(ready))
        .route("/v2/models/{use_case}", get(metadata))
        .route("/v2/models/{use_case}/ready", get(model_ready))
        .route("/v2/models/{use_case}/versions/{version}", get(metadata))
        .route("/v2/models/{use_case}/versions/{version}/ready", get(model_ready))
}

/// What asks for scores.
pub(super) fn scoring() -> Router<MlService> {
    Router::new().route(INFER, post(infer)).route(INFER_VERSION, post(infer))
}

async fn server() -> Json<Value> {
    let extensions = ["binary_tensor_data"];
    Json(json!({"name": "stream-pulse-ml-service", "version": env!("CARGO_PKG_VERSION"), "extensions": extensions}))
}

async fn live() -> Json<Value> {
    Json(json!({"live": true}))
}

async fn ready(State(service): State<MlService>) -> Response {
    let ready = service.is_ready();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({"ready": ready}))).into_response()
}

async fn metadata(State(service): State<MlService>, Path(named): Path<Named>) -> Answer {
    let (use_case, model) = find(&service, &named, Instant::now())?;
    let max_rows = max_rows(model.columns().len(), service.limits());
    Ok(Json(ModelMetadata::of(use_case.name(), &model, max_rows)).into_response())
}

async fn model_ready(State(service): State<MlService>, Path(named): Path<Named>) -> Answer {
    let (use_case, _) = find(&service, &named, Instant::now())?;
    Ok(Json(json!({"name": use_case.name(), "ready": true})).into_response())
}

async fn infer(
    State(service): State<MlService>,
    Path(named): Path<Named>,
    headers: HeaderMap,
    body: Admitted,
) -> Answer {
    let limits = service.limits();
    let (use_case, model) = find(&service, &named, body.asked_at)?;
    let use_case = use_case.clone();
    let length = headers.get(HEADER_LENGTH).map(|value| header_length(value.as_bytes())).transpose().map_err(broken)?;
    let inference = Inference::read(&body.bytes, length, &model, limits)?;
    let rows = inference.rows.rows();
    let inferred = if rows <= INLINE_ROWS {
        inference.run(&model, &use_case)
    } else {
        let use_case = use_case.clone();
        service.doors().batch(move || inference.run(&model, &use_case)).await?
    };
    service.metrics().count_rows(use_case.name(), rows, inferred.anomalies);
    Ok(respond(inferred.message))
}

/// The use case and the model that were named at the time `asked_at`.
fn find<'s>(
    service: &'s MlService,
    named: &Named,
    asked_at: Instant,
) -> Result<(&'s ServedUseCase, Arc<Model>), Problem> {
    let use_case = service.use_case(&named.use_case)?;
    let in_force = use_case.in_force()?;
    let Some(version) = &named.version else { return Ok((use_case, in_force)) };
    let model = use_case.slot().version(version, asked_at);
    let model = model.ok_or_else(|| Problem::unknown_version(version, in_force.version()))?;
    Ok((use_case, model))
}

fn respond(message: Message) -> Response {
    let Message { header_length, body } = message;
    let kind = if header_length.is_some() { "application/octet-stream" } else { "application/json" };
    let mut response = ([(header::CONTENT_TYPE, kind)], body).into_response();
    if let Some(length) = header_length {
        response.headers_mut().insert(HEADER_LENGTH, HeaderValue::from(length));
    }
    response
}
