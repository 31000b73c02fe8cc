//! The Open Inference Protocol over the router.

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use pulse_core::Matrix;
use pulse_ml_service::{Limits, ModelSlot, WarmUp};
use pulse_scoring::Model;
use pulse_scoring::oip::{
    Form, HEADER_LENGTH, INPUT, Message, Request as Inference, Response, SCORE, Tensor, Values, Wanted, header_length,
    scores_of,
};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::fixture::{Answer, RIDES, get, post, rides, router, send, service, trained};
use crate::limits::slow_body;
use crate::remote::another;

/// Usual rides, an odd one at 2, and one without a fare per mile.
fn rows() -> Matrix {
    let mut rows = Matrix::with_capacity(3, 4);
    for row in [[10.0, 3.0, 3.4], [12.0, 4.0, 3.0], [4900.0, 0.1, 49_000.0], [10.0, 0.0, f64::NAN]] {
        rows.push(&row);
    }
    rows
}

fn message(rows: &Matrix, wanted: Wanted) -> Message {
    let shape = vec![rows.rows(), rows.width()];
    let input = Tensor { name: INPUT.to_owned(), shape, values: Values::Fp64(rows.as_slice().into()) };
    Inference { id: Some("7".to_owned()), inputs: vec![input], wanted }.encode(Form::Binary)
}

/// Sends a message; the answer's JSON length and body.
async fn infer(router: &Router, path: &str, message: Message) -> (StatusCode, Option<usize>, Vec<u8>) {
    let mut request = Request::post(path).header(header::CONTENT_TYPE, "application/octet-stream");
    if let Some(length) = message.header_length {
        request = request.header(HEADER_LENGTH, length);
    }
    let response = router.clone().oneshot(request.body(Body::from(message.body)).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let length = parts.headers.get(HEADER_LENGTH).map(|value| header_length(value.as_bytes()).unwrap());
    let body = axum::body::to_bytes(body, 16 << 20).await.unwrap();
    (parts.status, length, body.to_vec())
}

/// The text of an error, after a check of its form.
fn error(answer: &Answer, status: u16) -> String {
    assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
    assert_eq!(answer.content_type(), "application/json");
    answer.json()["error"].as_str().unwrap().to_owned()
}

fn model() -> std::sync::Arc<Model> {
    trained(&RIDES).model().unwrap()
}

#[tokio::test]
async fn binary_scores_are_the_models_to_the_last_bit() {
    let (router, model) = (router(), model());
    let path = format!("/v2/models/rides/versions/{}/infer", model.version());
    for form in [Form::Binary, Form::Json] {
        let (status, length, body) = infer(&router, &path, message(&rows(), Wanted::All(form))).await;
        assert_eq!((status, length.is_some()), (StatusCode::OK, form == Form::Binary));
        let response = Response::decode(&body, length).unwrap();
        assert_eq!((response.id.as_deref(), response.model_name.as_str()), (Some("7"), "rides"));
        let scores = scores_of(response, model.version(), 4, 3).unwrap();
        assert_eq!(scores, model.score(&rows()));
        assert_eq!(scores.contributions[0].0, 2);
    }
}

#[tokio::test]
async fn only_what_is_wanted_is_answered() {
    let wanted = Wanted::These(vec![(SCORE.to_owned(), Form::Json)]);
    let (status, length, body) = infer(&router(), "/v2/models/rides/infer", message(&rows(), wanted)).await;
    assert_eq!((status, length), (StatusCode::OK, None));
    let response: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(response["outputs"].as_array().unwrap().len(), 1);
    assert_eq!(response["outputs"][0]["data"].as_array().unwrap().len(), 4);
    assert_eq!(response["parameters"]["threshold"], model().threshold());
}

#[tokio::test]
async fn plain_json_works_and_nothing_is_a_missing_value() {
    let input = |datatype: &str, data: Value| {
        json!({"inputs": [{"name": "rows", "shape": [2, 3], "datatype": datatype, "data": data}]}).to_string()
    };
    let (router, model) = (router(), model());
    let nested = post(&router, "/v2/models/rides/infer", input("FP64", json!([[10, 3, 3.5], [10, 0, null]]))).await;
    let flat = post(&router, "/v2/models/rides/infer", input("FP32", json!([10, 3, 3.5, 10, 0, null]))).await;
    assert_eq!((nested.status, flat.status), (StatusCode::OK, StatusCode::OK), "{} {}", nested.text, flat.text);
    let mut rows = Matrix::with_capacity(3, 2);
    rows.push(&[10.0, 3.0, 3.5]);
    rows.push(&[10.0, 0.0, f64::NAN]);
    let data = &nested.json()["outputs"][0]["data"];
    assert_eq!(*data, json!(model.score(&rows).scores));
    assert_eq!(*data, flat.json()["outputs"][0]["data"]);
}

#[tokio::test]
async fn the_metadata_say_what_a_scorer_must_know() {
    let (router, model) = (router(), model());
    let metadata = get(&router, "/v2/models/rides").await.json();
    assert_eq!(metadata["inputs"], json!([{"name": "rows", "datatype": "FP64", "shape": [-1, 3]}]));
    assert_eq!(metadata["versions"], json!([&**model.version()]));
    let parameters = &metadata["parameters"];
    assert_eq!(parameters["columns"], json!(["fare", "trip.miles", "fare_per_mile"]));
    assert_eq!(
        (&parameters["threshold"], &parameters["highest"]),
        (&json!(model.threshold()), &json!(model.highest()))
    );
    assert_eq!(parameters["max_rows"], 10_000);
    let version = format!("/v2/models/rides/versions/{}", model.version());
    assert_eq!(get(&router, &version).await.json(), metadata);
    assert_eq!(get(&router, &format!("{version}/ready")).await.json(), json!({"name": "rides", "ready": true}));
    assert_eq!(get(&router, "/v2/health/live").await.json(), json!({"live": true}));
    // Readiness is set by `run`, which serves for real.
    assert_eq!(get(&router, "/v2/health/ready").await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(get(&router, "/v2").await.json()["extensions"].as_array().unwrap().contains(&json!("binary_tensor_data")));
}

#[tokio::test]
async fn errors_have_the_form_of_the_protocol() {
    let router = router();
    let shape = json!({"inputs": [{"name": "rows", "shape": [1, 2], "datatype": "FP64", "data": [1, 2]}]}).to_string();
    let text = error(&post(&router, "/v2/models/rides/infer", shape).await, 400);
    assert!(text.contains("[rows, 3]") && text.contains("fare, trip.miles, fare_per_mile"), "{text}");
    for body in
        ["", "{", "[]", "{}", r#"{"inputs":[{"name":"rows","shape":[1,3],"datatype":"FP64","data":[NaN,1,2]}]}"#]
    {
        error(&post(&router, "/v2/models/rides/infer", body).await, 400);
    }
    assert!(error(&post(&router, "/v2/models/trips/infer", "{}").await, 404).contains("there are: rides"));
    assert!(error(&get(&router, "/v2/models/trips").await, 404).contains("trips"));
    assert!(error(&get(&router, "/v2/models/rides/versions/1").await, 404).contains("in force is"));
    error(&post(&router, "/v2/models/rides/versions/1/infer", "{}").await, 404);
    error(&get(&router, "/v2/nowhere").await, 404);
    error(&get(&router, "/v2/models/rides/infer").await, 405);
    let request = Request::post("/v2/models/rides/infer").header(HEADER_LENGTH, "many").body(Body::from("{}")).unwrap();
    assert!(error(&crate::fixture::send(&router, request).await, 400).contains("no number"));
}

#[tokio::test]
async fn requests_have_limits() {
    let limits = Limits { body_bytes: 8192, batch_rows: 3, ..Limits::default() };
    let router = service(vec![rides(trained(&RIDES))], limits).router();
    assert_eq!(get(&router, "/v2/models/rides").await.json()["parameters"]["max_rows"], 3);
    let (status, _, body) = infer(&router, "/v2/models/rides/infer", message(&rows(), Wanted::All(Form::Json))).await;
    let text = String::from_utf8(body).unwrap();
    assert!(status == 413 && text.contains("4 rows are more than 3"), "{text}");
    assert!(error(&post(&router, "/v2/models/rides/infer", " ".repeat(9000)).await, 413).contains("8192 bytes"));
    // As many rows as the bytes allow.
    let limits = Limits { body_bytes: 4096 + 240, ..limits };
    let router = service(vec![rides(trained(&RIDES))], Limits { batch_rows: 1000, ..limits }).router();
    assert_eq!(get(&router, "/v2/models/rides").await.json()["parameters"]["max_rows"], 10);
}

#[tokio::test]
async fn without_a_model_it_says_whether_one_will_come() {
    let slot = ModelSlot::warming_up("waiting for the sample");
    let router = service(vec![rides(slot.clone())], Limits::default()).router();
    slot.progress(WarmUp { stage: "deriving features".into(), done: 120, total: Some(180) });
    for path in ["/v2/models/rides", "/v2/models/rides/ready", "/v2/models/rides/versions/1"] {
        let answer = get(&router, path).await;
        assert!(error(&answer, 503).contains("deriving features, 120 of 180 rows"));
        assert_eq!(answer.json()["state"], "warming_up");
        assert!(answer.headers.contains_key(header::RETRY_AFTER));
    }
    slot.fail("there is no sample");
    let answer = post(&router, "/v2/models/rides/infer", "{}").await;
    assert_eq!(error(&answer, 503), "there is no model: there is no sample");
    assert_eq!(answer.json()["state"], "no_model");
    assert!(!answer.headers.contains_key(header::RETRY_AFTER));
}

#[tokio::test]
async fn a_version_that_was_named_before_a_switch_still_answers() {
    let slot = trained(&RIDES);
    let router = service(vec![rides(slot.clone())], Limits::default()).router();
    let path = format!("/v2/models/rides/versions/{}/infer", slot.model().unwrap().version());
    let rows =
        json!({"inputs": [{"name": "rows", "shape": [1, 3], "datatype": "FP64", "data": [10, 3, 3.4]}]}).to_string();
    let (sender, body) = slow_body();
    let asked = Request::post(&path).header(header::CONTENT_TYPE, "application/json").body(body).unwrap();
    let mut asking = Box::pin(send(&router, asked));
    assert!(futures_util::poll!(&mut asking).is_pending());
    slot.set(another(&["fare", "trip.miles", "fare_per_mile"]));
    sender.send(rows.clone()).unwrap();
    let answer = asking.await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(path.contains(answer.json()["model_version"].as_str().unwrap()), "{}", answer.text);
    assert!(error(&post(&router, &path, rows).await, 404).contains("in force is"), "who asks now learns of the switch");
}
