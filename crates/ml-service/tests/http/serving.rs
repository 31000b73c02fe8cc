//! Life without a model, and a real listener.

use std::time::Duration;

use axum::http::header;
use prometheus::Registry;
use pulse_ml_service::{Limits, Management, MlService, ModelSlot, WarmUp, run, train_from_sample};
use pulse_runtime::Health;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::fixture::{RIDES, get, post, rides, service};

#[tokio::test]
async fn without_a_model_it_says_how_far_it_is() {
    let slot = ModelSlot::warming_up("waiting for the sample");
    let router = service(vec![rides(slot.clone())], Limits::default()).router();
    slot.progress(WarmUp { stage: "deriving features".into(), done: 120, total: Some(180) });
    let event = json!({"fare": 10, "trip": {"miles": 3}}).to_string();
    for (path, body) in [("/predict", event.clone()), ("/predict/batch", format!("[{event}]"))] {
        let answer = post(&router, path, body).await;
        let problem = answer.problem(503);
        assert_eq!(problem["warm_up"], json!({"stage": "deriving features", "done": 120, "total": 180}));
        assert!(answer.headers[header::RETRY_AFTER].to_str().unwrap().parse::<u32>().unwrap() > 0);
    }
    let health = get(&router, "/health").await;
    assert_eq!((health.status.as_u16(), &health.json()["status"]), (200, &json!("warming_up")));
    assert_eq!(get(&router, "/models").await.json(), json!({"models": []}));

    slot.fail("training failed: there are no rows to train on");
    assert_eq!(get(&router, "/health").await.json()["status"], "failed");
    assert!(
        post(&router, "/predict", event.clone()).await.problem(503)["detail"].to_string().contains("training failed")
    );

    let model = train_from_sample(&RIDES, &slot).unwrap();
    slot.progress(WarmUp { stage: "too late".into(), done: 0, total: None });
    assert_eq!(post(&router, "/predict", event).await.status, 200);
    let health = get(&router, "/health").await.json();
    assert_eq!((&health["status"], &health["trained_rows"]), (&json!("ready"), &json!(180)));
    assert_eq!(health["model_version"], &**model.version());
    let models = get(&router, "/models").await.json();
    assert_eq!((&models["models"][0]["active"], &models["models"][0]["use_case"]), (&json!(true), &json!("rides")));
    assert_eq!(models["models"][0]["columns"][2]["name"], "fare_per_mile");
}

#[tokio::test]
async fn it_becomes_ready_with_its_model_and_stops_when_told() {
    let slot = ModelSlot::warming_up("waiting");
    let health = Health::starting("waiting for the model");
    let service =
        MlService::new(vec![rides(slot.clone())], Limits::default(), Management::Open, Registry::new(), health.clone())
            .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn(run(listener, service, stop.clone()));
    assert!(!health.is_ready());
    train_from_sample(&RIDES, &slot).unwrap();
    health.ready().await;

    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    // A request that is under way when it is told to stop is answered.
    let mut stream = TcpStream::connect(address).await.unwrap();
    let event = json!({"fare": 10, "trip": {"miles": 3}}).to_string();
    let head = format!(
        "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        event.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).await.unwrap();
    assert!(go_on.starts_with(b"HTTP/1.1 100"), "it waits for the body");
    stop.cancel();
    let refused = async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), refused).await.unwrap();
    stream.write_all(event.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("is_anomaly"), "{answer}");
    running.await.unwrap().unwrap();
}
