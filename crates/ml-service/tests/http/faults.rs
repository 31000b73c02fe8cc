//! What is answered to requests that are wrong.

use axum::body::Body;
use axum::http::{Request, header};
use serde_json::{Value, json};

use crate::fixture::{get, post, router, send};

/// The field and the message of every fault.
fn faults(problem: &Value) -> Vec<(&str, &str)> {
    let faults = problem["errors"].as_array().unwrap();
    faults.iter().map(|fault| (fault["field"].as_str().unwrap(), fault["message"].as_str().unwrap())).collect()
}

#[tokio::test]
async fn every_field_at_fault_is_named_at_once() {
    let event = json!({"fare": "12", "trip": {"miles": -1}, "stops": 1.5, "tip": null});
    let problem = post(&router(), "/predict", event.to_string()).await.problem(422);
    assert_eq!(
        faults(&problem),
        [
            ("fare", "must be a number, not a string: send it without quotes"),
            ("trip.miles", "must be at least 0"),
            ("stops", "must be a whole number"),
        ]
    );
    assert_eq!(problem["errors"][1]["value"], "-1");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("fare") && detail.contains("trip.miles") && detail.contains("stops"), "{detail}");
}

#[tokio::test]
async fn missing_and_out_of_range_fields_are_named() {
    let router = router();
    let problem = post(&router, "/predict", "{}").await.problem(422);
    assert_eq!(faults(&problem).iter().map(|fault| fault.0).collect::<Vec<_>>(), ["fare", "trip.miles"]);
    let problem = post(&router, "/predict", r#"{"fare":5001,"trip":{"miles":1}}"#).await.problem(422);
    assert_eq!(faults(&problem), [("fare", "must be at most 5000")]);
    let problem = post(&router, "/predict", r#"{"fare":1e999,"trip":{"miles":1}}"#).await.problem(422);
    assert_eq!(faults(&problem)[0].0, "fare");
}

#[tokio::test]
async fn a_body_that_is_no_event_is_refused() {
    let router = router();
    for body in ["", "  \n", "{", "{\"fare\":1,}", "nonsense", "{} {}", "\u{feff}{}"] {
        post(&router, "/predict", body).await.problem(400);
        post(&router, "/predict/batch", body).await.problem(400);
    }
    post(&router, "/predict", vec![b'{', b'"', 0xff, b'"', b':', b'1', b'}']).await.problem(400);
    for body in ["[1]", "3", "\"x\"", "null"] {
        let problem = post(&router, "/predict", body).await.problem(422);
        assert_eq!(problem["errors"][0]["field"], "");
    }
    for body in ["3", "{}", r#"{"instances":3}"#, "null"] {
        post(&router, "/predict/batch", body).await.problem(422);
    }
    let deep = format!("{{\"fare\":{}1{}}}", "[".repeat(5000), "]".repeat(5000));
    let answer = post(&router, "/predict", deep).await;
    assert!(answer.status.is_client_error(), "{}", answer.text);
}

#[tokio::test]
async fn only_json_is_taken() {
    let router = router();
    let request = |kind: Option<&str>| {
        let request = Request::post("/predict");
        let request = kind.into_iter().fold(request, |request, kind| request.header(header::CONTENT_TYPE, kind));
        request.body(Body::from(r#"{"fare":10,"trip":{"miles":3}}"#)).unwrap()
    };
    for kind in [None, Some("application/x-www-form-urlencoded"), Some("text/plain")] {
        let problem = send(&router, request(kind)).await.problem(415);
        assert!(problem["detail"].as_str().unwrap().contains("application/json"));
    }
    for kind in ["application/json; charset=utf-8", "Application/JSON", "application/cloudevents+json"] {
        assert_eq!(send(&router, request(Some(kind))).await.status, 200, "{kind}");
    }
}

#[tokio::test]
async fn other_routes_and_methods_are_problems_too() {
    let router = router();
    let problem = get(&router, "/nowhere").await.problem(404);
    assert!(problem["detail"].as_str().unwrap().contains("/nowhere"));
    let answer = get(&router, "/predict").await;
    answer.problem(405);
    assert_eq!(answer.headers[header::ALLOW], "POST");
    post(&router, "/health", "{}").await.problem(405);
    post(&router, "/live", "{}").await.problem(405);
}
