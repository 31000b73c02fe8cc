//! The remote scorer against servers that do not behave.

use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use pulse_core::ports::Scorer as _;
use pulse_core::{Classify as _, ErrorClass, Matrix};
use pulse_scoring::oip::HEADER_LENGTH;
use pulse_scoring::{RemoteError, RemoteOptions, RemoteScorer};
use serde_json::json;
use tokio::net::TcpListener;

/// What the one that does not answer has.
const SHORT: Duration = Duration::from_millis(200);
/// What the others have: more than they need on a loaded machine.
const LONG: Duration = Duration::from_secs(60);

fn options(request_time: Duration) -> RemoteOptions {
    RemoteOptions { request_time, max_rows: 100, ..RemoteOptions::default() }
}

/// A server with usual metadata, and `answer` to whatever else is asked.
async fn scorer(answer: impl Fn() -> Response + Clone + Send + Sync + 'static, request_time: Duration) -> RemoteScorer {
    let parameters = json!({"columns": ["a"], "version": "1", "threshold": 0.6, "highest": 0.7});
    let metadata = json!({
        "name": "x", "versions": ["1"], "platform": "", "inputs": [], "outputs": [], "parameters": parameters,
    });
    let url = serve(
        Router::new().route("/v2/models/x", get(async move || axum::Json(metadata))).fallback(async move || answer()),
    )
    .await;
    RemoteScorer::connect(&url, "x", options(request_time), |_| {}).await.unwrap().unwrap()
}

async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, router).into_future());
    url
}

async fn fails(answer: impl Fn() -> Response + Clone + Send + Sync + 'static) -> RemoteError {
    fails_within(answer, LONG).await
}

async fn fails_within(
    answer: impl Fn() -> Response + Clone + Send + Sync + 'static,
    request_time: Duration,
) -> RemoteError {
    let mut rows = Matrix::with_capacity(1, 2);
    (0..2).for_each(|i| rows.push(&[f64::from(i)]));
    scorer(answer, request_time).await.score(&rows).await.unwrap_err()
}

#[tokio::test]
async fn statuses_are_classified() {
    for (status, class) in [
        (500, ErrorClass::Retry),
        (503, ErrorClass::Retry),
        (429, ErrorClass::Retry),
        (408, ErrorClass::Retry),
        (404, ErrorClass::Retry),
        (400, ErrorClass::Fatal),
        (401, ErrorClass::Fatal),
        (413, ErrorClass::Fatal),
        (302, ErrorClass::Fatal),
    ] {
        let status = StatusCode::from_u16(status).unwrap();
        let error = fails(move || (status, axum::Json(json!({"error": "as I say"}))).into_response()).await;
        assert_eq!(error.class(), class, "{error}");
        assert!(status == 404 || error.to_string().contains("as I say"), "{error}");
    }
}

#[tokio::test]
async fn answers_that_are_none_are_never_used() {
    let fine = json!({"model_name": "x", "parameters": {"threshold": 0.6, "highest": 0.7}, "outputs": [
        {"name": "score", "datatype": "FP64", "shape": [2], "data": [0.1, 0.2]},
        {"name": "explained", "datatype": "INT64", "shape": [0], "data": []},
        {"name": "contributions", "datatype": "FP64", "shape": [0, 1], "data": []},
    ]});
    let mut rows = Matrix::with_capacity(1, 2);
    (0..2).for_each(|i| rows.push(&[f64::from(i)]));
    let body = fine.to_string();
    let scored = scorer(move || body.clone().into_response(), LONG).await.score(&rows).await.unwrap();
    assert_eq!(scored.scores, [0.1, 0.2]);

    let mut one = fine.clone();
    one["outputs"][0] = json!({"name": "score", "datatype": "FP64", "shape": [1], "data": [0.1]});
    for body in [String::new(), "<html>".to_owned(), "{}".to_owned(), one.to_string()] {
        let error = fails(move || body.clone().into_response()).await;
        assert!(matches!(error, RemoteError::Nonsense { .. }) && error.class() == ErrorClass::Retry, "{error}");
    }
    let error = fails(move || ([(HEADER_LENGTH, "7")], "{}").into_response()).await;
    assert!(matches!(error, RemoteError::Nonsense { .. }), "{error}");
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let error = fails(|| {
        Body::from_stream(futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>([b' '; 4096].as_slice())))
            .into_response()
    })
    .await;
    assert!(matches!(error, RemoteError::TooLarge { .. }), "{error}");
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_tried_again() {
    let started = Instant::now();
    let silent = || Body::from_stream(futures_util::stream::pending::<Result<&[u8], std::io::Error>>()).into_response();
    let error = fails_within(silent, SHORT).await;
    assert!(matches!(error, RemoteError::Timeout { .. }) && error.class() == ErrorClass::Retry, "{error}");
    assert!(started.elapsed() >= SHORT);
    // One that breaks off.
    let error = fails(|| {
        (
            [(header::CONTENT_LENGTH, "100")],
            Body::from_stream(futures_util::stream::iter([Ok(&b"{"[..]), Err(std::io::Error::other("x"))])),
        )
            .into_response()
    })
    .await;
    assert!(matches!(error, RemoteError::Unreachable { .. }) && error.class() == ErrorClass::Retry, "{error}");
}

#[tokio::test]
async fn metadata_that_are_none_are_fatal() {
    for metadata in ["", "[]", "{}", r#"{"name":"x","versions":[],"platform":"","inputs":[],"outputs":[]}"#] {
        let url = serve(Router::new().fallback(async move |_: Uri| metadata)).await;
        let error = RemoteScorer::connect(&url, "x", options(LONG), |_| {}).await.unwrap_err();
        assert!(matches!(error, RemoteError::Metadata { .. }) && error.class() == ErrorClass::Fatal, "{error}");
    }
    let error = RemoteScorer::connect("nowhere", "x", options(LONG), |_| {}).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Fatal);
}
