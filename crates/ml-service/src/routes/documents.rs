//! `/schema`, `/openapi.json` and `/docs`.

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::path::Path;
use crate::problem::Problem;
use crate::served::ServedUseCase;
use crate::service::MlService;

pub(super) async fn schema(State(service): State<MlService>) -> Response {
    schema_response(service.first())
}

pub(super) async fn schema_of(State(service): State<MlService>, Path(name): Path<String>) -> Result<Response, Problem> {
    Ok(schema_response(service.use_case(&name)?))
}

pub(super) async fn openapi(State(service): State<MlService>) -> Json<Value> {
    Json(service.openapi().clone())
}

/// Swagger UI out of the binary. It validates nothing elsewhere: no request leaves for another host.
pub(super) fn swagger_ui() -> SwaggerUi {
    let config = Config::new(["/openapi.json"])
        .validator_url("none")
        .try_it_out_enabled(true)
        .display_request_duration(true)
        .default_models_expand_depth(0);
    SwaggerUi::new("/docs").config(config)
}

fn schema_response(use_case: &ServedUseCase) -> Response {
    ([(CONTENT_TYPE, "application/schema+json")], use_case.schema().to_string()).into_response()
}
