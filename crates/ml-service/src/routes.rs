//! The routes and what answers them.

mod documents;
mod models;
mod oip;
mod predict;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Method, Uri};
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, post};
use tower_http::trace::TraceLayer;

pub(crate) use self::oip::{INFER, INFER_VERSION};
use crate::layers;
use crate::problem::Problem;
use crate::service::MlService;

/// Routes that are measured from the start.
pub(crate) const MEASURED: [&str; 6] =
    ["/predict", "/predict/{use_case}", "/predict/batch", "/predict/{use_case}/batch", INFER, INFER_VERSION];

/// All routes; `admin` are those of [`pulse_runtime::admin`].
pub(crate) fn router(service: MlService, admin: Router) -> Router {
    let body_limit = service.limits().body_bytes;
    let scoring = Router::new()
        .route("/predict", post(predict::one))
        .route("/predict/{use_case}", post(predict::one_of))
        .route("/predict/batch", post(predict::many))
        .route("/predict/{use_case}/batch", post(predict::many_of))
        .merge(oip::scoring());
    Router::new()
        .merge(scoring)
        .route("/schema", get(documents::schema))
        .route("/schema/{use_case}", get(documents::schema_of))
        .route("/openapi.json", get(documents::openapi))
        .route("/health", get(models::health))
        .route("/models", get(models::list))
        .route("/models/{use_case}/{version}/activate", post(models::activate))
        .route("/models/{use_case}/rollback", post(models::roll_back))
        .route("/models/{use_case}/{version}/candidate", post(models::set_candidate))
        .route("/models/{use_case}/candidate", delete(models::remove_candidate))
        .route("/models/{use_case}/{version}", delete(models::remove))
        .merge(oip::router())
        .merge(documents::swagger_ui())
        .merge(admin.with_state(()))
        .fallback(|uri: Uri| async move { Problem::unknown_route(uri.path()).at(uri.path()) })
        .method_not_allowed_fallback(|method: Method, uri: Uri| async move {
            Problem::method(method.as_str(), uri.path()).at(uri.path())
        })
        .layer(DefaultBodyLimit::max(body_limit))
        .layer(from_fn_with_state(service.clone(), layers::limit_time))
        .layer(from_fn_with_state(service.clone(), layers::measure))
        // What fails here says so itself; that a service is not ready yet is no failure.
        .layer(TraceLayer::new_for_http().on_failure(()))
        .with_state(service)
}
