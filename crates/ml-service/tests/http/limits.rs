//! Limits on what a request may cost.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Request, header};
use pulse_ml_service::{BuildError, Limits, Management, MlService, ModelSlot};
use pulse_runtime::Health;
use serde_json::json;

use crate::fixture::{RIDES, post, rides, send, service, trained};

#[tokio::test]
async fn bodies_and_batches_have_limits() {
    let limits = Limits { body_bytes: 400, batch_rows: 3, ..Limits::default() };
    let router = service(vec![rides(trained(&RIDES))], limits).router();
    let problem = post(&router, "/predict", format!("{{\"x\":\"{}\"}}", "a".repeat(500))).await.problem(413);
    assert!(problem["detail"].as_str().unwrap().contains("400 bytes"));
    let event = json!({"fare": 10, "trip": {"miles": 3}});
    assert_eq!(post(&router, "/predict/batch", json!([event, event, event]).to_string()).await.status, 200);
    let problem = post(&router, "/predict/batch", json!([event, event, event, event]).to_string()).await.problem(413);
    assert!(problem["detail"].as_str().unwrap().contains("4 events are more than 3"));
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_given_up() {
    let limits = Limits { request_time: Duration::from_millis(20), ..Limits::default() };
    let router = service(vec![rides(ModelSlot::warming_up("never"))], limits).router();
    let body = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
    let request = Request::post("/predict").header(header::CONTENT_TYPE, "application/json").body(body).unwrap();
    send(&router, request).await.problem(408);
}

#[test]
fn a_service_without_sense_is_not_built() {
    let build = |use_cases| {
        let (registry, health) = (prometheus::Registry::new(), Health::starting("x"));
        MlService::new(use_cases, Limits::default(), Management::Open, registry, health).unwrap_err()
    };
    assert!(matches!(build(Vec::new()), BuildError::NoUseCase));
    let twice = rides(ModelSlot::warming_up("never"));
    assert!(matches!(build(vec![twice.clone(), twice]), BuildError::RepeatedUseCase(name) if name == "rides"));
}
