//! A small use case, its model, and requests to the service.

use std::path::Path;
use std::sync::LazyLock;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use prometheus::Registry;
use pulse_features::UseCaseDir;
use pulse_ml_service::{Limits, Management, MlService, ModelSlot, ServedUseCase, train_from_sample};
use pulse_runtime::Health;
use serde_json::Value;
use tower::ServiceExt as _;

/// A response in full.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(crate) fn content_type(&self) -> &str {
        self.headers[header::CONTENT_TYPE].to_str().unwrap()
    }

    /// The problem that it is, after a check of what all of them must have.
    pub(crate) fn problem(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert_eq!(self.content_type(), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["status"], status);
        for member in ["type", "title", "detail"] {
            assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{member}: {problem}");
        }
        problem
    }
}

/// The small use case.
pub(crate) static RIDES: LazyLock<UseCaseDir> = LazyLock::new(|| load("tests/usecases", "rides"));

/// The use case `name` in a folder given from this crate's on.
pub(crate) fn load(usecases: &str, name: &str) -> UseCaseDir {
    UseCaseDir::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join(usecases), name).unwrap()
}

/// The small use case in `slot`.
pub(crate) fn rides(slot: ModelSlot) -> ServedUseCase {
    ServedUseCase::new(&RIDES, RIDES.sample().unwrap().as_ref(), slot).unwrap()
}

/// A slot with the model of `dir`.
pub(crate) fn trained(dir: &UseCaseDir) -> ModelSlot {
    let slot = ModelSlot::warming_up("waiting for training");
    train_from_sample(dir, &slot).unwrap();
    slot
}

pub(crate) fn service(use_cases: Vec<ServedUseCase>, limits: Limits) -> MlService {
    MlService::new(use_cases, limits, Management::Open, Registry::new(), Health::starting("waiting for the model"))
        .unwrap()
}

/// The routes of a service with the small use case and its model.
pub(crate) fn router() -> Router {
    static SLOT: LazyLock<ModelSlot> = LazyLock::new(|| trained(&RIDES));
    service(vec![rides(SLOT.clone())], Limits::default()).router()
}

pub(crate) async fn send(router: &Router, request: Request<Body>) -> Answer {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, 64 << 20).await.unwrap();
    Answer { status: parts.status, headers: parts.headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
}

pub(crate) async fn get(router: &Router, path: &str) -> Answer {
    send(router, Request::get(path).body(Body::empty()).unwrap()).await
}

pub(crate) async fn post(router: &Router, path: &str, body: impl Into<Body>) -> Answer {
    let request = Request::post(path).header(header::CONTENT_TYPE, "application/json").body(body.into()).unwrap();
    send(router, request).await
}
