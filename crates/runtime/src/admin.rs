//! The endpoints that every service has: is it alive, is it ready, and what does it measure.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use prometheus::{Registry, TEXT_FORMAT, TextEncoder};
use serde_json::json;

use crate::health::Health;

/// `GET /live`, `GET /ready` and `GET /metrics`.
///
/// `/live` answers 200 as long as the process runs; `/ready` answers 200, or 503 with the reason as JSON; `/metrics`
/// answers what `registry` holds, in the Prometheus text format.
pub fn router(registry: Registry, health: Health) -> Router {
    Router::new()
        .route("/live", get(live))
        .route("/ready", get(ready).with_state(health))
        .route("/metrics", get(metrics).with_state(registry))
}

async fn live() -> &'static str {
    "alive\n"
}

async fn ready(State(health): State<Health>) -> Response {
    match health.reason() {
        None => Json(json!({"ready": true})).into_response(),
        Some(reason) => {
            (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"ready": false, "reason": reason}))).into_response()
        }
    }
}

async fn metrics(State(registry): State<Registry>) -> Response {
    match TextEncoder::new().encode_to_string(&registry.gather()) {
        Ok(text) => ([(header::CONTENT_TYPE, TEXT_FORMAT)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be encoded");
            (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use prometheus::IntCounter;
    use tower::ServiceExt as _;

    use super::*;

    async fn get_path(router: &Router, path: &str) -> (StatusCode, String, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let content_type = response.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned();
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, content_type, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn ready_follows_health_while_live_does_not() {
        let health = Health::starting("waiting for the model");
        let router = router(Registry::new(), health.clone());
        let (status, _, body) = get_path(&router, "/ready").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(body, r#"{"ready":false,"reason":"waiting for the model"}"#);
        assert_eq!(get_path(&router, "/live").await.0, StatusCode::OK);

        health.set_ready();
        let (status, content_type, body) = get_path(&router, "/ready").await;
        assert_eq!((status, content_type.as_str()), (StatusCode::OK, "application/json"));
        assert_eq!(body, r#"{"ready":true}"#);
    }

    #[tokio::test]
    async fn metrics_are_prometheus_text() {
        let registry = Registry::new();
        let counter = IntCounter::new("pulse_test_events_total", "Events of a test.").unwrap();
        registry.register(Box::new(counter.clone())).unwrap();
        counter.inc_by(3);
        let (status, content_type, body) = get_path(&router(registry, Health::starting("x")), "/metrics").await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(content_type, "text/plain; version=0.0.4");
        assert!(body.contains("# TYPE pulse_test_events_total counter\npulse_test_events_total 3\n"), "{body}");
    }
}
