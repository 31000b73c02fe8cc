//! The use case that ships, as its users call it.

use pulse_ml_service::{Limits, ServedUseCase};
use serde_json::json;

use crate::fixture::{get, load, post, service, trained};

#[tokio::test]
async fn the_call_of_the_readme_works_as_written() {
    let dir = load("../../usecases", "nyc_taxi");
    let sample = dir.sample().unwrap();
    let use_case = ServedUseCase::new(&dir, sample.as_ref(), trained(&dir)).unwrap();
    let router = service(vec![use_case], Limits::default()).router();
    let body = r#"{"trip_duration":1800.0,"trip_distance":5.2,"fare_amount":15.50,"total_amount":18.50}"#;
    let answer = post(&router, "/predict", body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let verdict = answer.json();
    for member in ["is_anomaly", "score", "threshold", "contributions", "model_version"] {
        assert!(verdict.get(member).is_some(), "{member} is missing: {verdict}");
    }
    let problem = post(&router, "/predict", body.replace("15.50", "\"a lot\"")).await.problem(422);
    assert_eq!(problem["errors"][0]["field"], "fare_amount");
    assert_eq!(get(&router, "/schema").await.json()["title"], json!("nyc_taxi"));
    let document = get(&router, "/openapi.json").await.json();
    let examples = &document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["examples"];
    let answer = post(&router, "/predict", examples["sample"]["value"].to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}
