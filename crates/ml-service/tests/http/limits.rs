//! Limits on what a request may cost.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Request, header};
use pulse_ml_service::{BuildError, Limits, Management, MlService, ModelSlot};
use pulse_runtime::Health;
use serde_json::json;

use crate::fixture::{RIDES, get, post, rides, send, service, trained};

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

/// A body that arrives when the sender says so.
pub(crate) fn slow_body() -> (tokio::sync::oneshot::Sender<String>, Body) {
    let (send, receive) = tokio::sync::oneshot::channel::<String>();
    let chunk = async { receive.await.map(Bytes::from).map_err(std::io::Error::other) };
    (send, Body::from_stream(futures_util::stream::once(chunk)))
}

#[tokio::test]
async fn more_than_the_limit_at_once_is_turned_away_and_told_when_to_come_again() {
    let limits = Limits { requests: 2, ..Limits::default() };
    let router = service(vec![rides(trained(&RIDES))], limits).router();
    let event = json!({"fare": 10, "trip": {"miles": 3}}).to_string();
    let mut waiting = Vec::new();
    let mut senders = Vec::new();
    for _ in 0..2 {
        let (sender, body) = slow_body();
        let request = Request::post("/predict").header(header::CONTENT_TYPE, "application/json").body(body).unwrap();
        let router = router.clone();
        let mut asking = Box::pin(async move { send(&router, request).await });
        assert!(futures_util::poll!(&mut asking).is_pending());
        waiting.push(asking);
        senders.push(sender);
    }
    for path in ["/predict", "/predict/batch"] {
        let answer = post(&router, path, event.clone()).await;
        assert!(answer.headers[header::RETRY_AFTER].to_str().unwrap().parse::<u32>().unwrap() > 0);
        assert!(answer.problem(429)["detail"].as_str().unwrap().contains("2 requests"), "{}", answer.text);
    }
    let answer = post(&router, "/v2/models/rides/infer", "{}").await;
    assert_eq!(answer.status.as_u16(), 429);
    assert!(answer.json()["error"].as_str().unwrap().contains("2 requests"), "what clients of the protocol read");
    assert_eq!(get(&router, "/health").await.status, 200, "whoever watches is not turned away");
    for sender in senders {
        sender.send(event.clone()).unwrap();
    }
    for asking in waiting {
        assert_eq!(asking.await.status, 200, "who was let in is answered");
    }
    assert_eq!(post(&router, "/predict", event).await.status, 200, "there is room again");
}

/// One whose body is announced as so long, and does not come.
fn announced(bytes: usize) -> Request<Body> {
    let body = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
    let request = Request::post("/predict").header(header::CONTENT_TYPE, "application/json");
    request.header(header::CONTENT_LENGTH, bytes).body(body).unwrap()
}

#[tokio::test]
async fn who_only_announces_keeps_nobody_out() {
    let limits = Limits::default();
    let router = service(vec![rides(trained(&RIDES))], limits).router();
    let mut idle: Vec<_> = (0..100).map(|_| Box::pin(send(&router, announced(limits.body_bytes)))).collect();
    for asking in &mut idle {
        assert!(futures_util::poll!(asking).is_pending());
    }
    let event = json!({"fare": 10, "trip": {"miles": 3}}).to_string();
    assert_eq!(post(&router, "/predict", event).await.status, 200);
    let answer = send(&router, announced(limits.body_bytes + 1)).await;
    assert!(answer.problem(413)["detail"].as_str().unwrap().contains("larger than"), "said before it comes");
}

#[tokio::test]
async fn what_has_arrived_counts_until_it_is_answered() {
    let limits = Limits { body_bytes: 4096, ..Limits::default() };
    let router = service(vec![rides(trained(&RIDES))], limits).router();
    let slow = || {
        let arrived = futures_util::stream::once(async { Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 4000])) });
        let body = Body::from_stream(futures_util::StreamExt::chain(arrived, futures_util::stream::pending()));
        Request::post("/predict").header(header::CONTENT_TYPE, "application/json").body(body).unwrap()
    };
    // A KiB of each is begun and not full.
    let mut waiting: Vec<_> = (0..20).map(|_| Box::pin(send(&router, slow()))).collect();
    for asking in &mut waiting {
        assert!(futures_util::poll!(asking).is_pending());
    }
    let answer = send(&router, slow()).await;
    assert!(answer.problem(429)["detail"].as_str().unwrap().contains("bytes of requests"), "{}", answer.text);
    drop(waiting);
    let event = json!({"fare": 10, "trip": {"miles": 3}}).to_string();
    assert_eq!(post(&router, "/predict", event).await.status, 200, "there is room again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_have_a_limit_of_their_own() {
    let limits = Limits { batches: 1, ..Limits::default() };
    let router = service(vec![rides(trained(&RIDES))], limits).router();
    let event = json!({"fare": 10, "trip": {"miles": 3}});
    let batch = json!(vec![event.clone(); 5000]).to_string();
    let asked = (0..8).map(|_| post(&router, "/predict/batch", batch.clone()));
    let statuses: Vec<u16> =
        futures_util::future::join_all(asked).await.iter().map(|answer| answer.status.as_u16()).collect();
    assert!(statuses.contains(&200) && statuses.iter().all(|status| [200, 429].contains(status)), "{statuses:?}");
    assert!(statuses.contains(&429), "{statuses:?}");
    assert_eq!(post(&router, "/predict", event.to_string()).await.status, 200);
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
