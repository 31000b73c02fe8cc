//! Verdicts on single events and on batches.

use serde_json::{Value, json};

use crate::fixture::{get, post, router};

fn usual() -> Value {
    json!({"fare": 12.1, "trip": {"miles": 4.0}})
}

fn spike() -> Value {
    json!({"fare": 900, "trip": {"miles": 4.0}, "at": "2024-03-01T08:00:00Z", "zone": "Queens", "unknown": [1]})
}

#[tokio::test]
async fn an_event_gets_a_verdict_with_reasons() {
    let router = router();
    let answer = post(&router, "/predict", usual().to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let verdict = answer.json();
    assert_eq!(verdict["is_anomaly"], false);

    let answer = post(&router, "/predict", spike().to_string()).await;
    let verdict = answer.json();
    assert_eq!(verdict["is_anomaly"], true, "{verdict}");
    let (score, threshold) = (verdict["score"].as_f64().unwrap(), verdict["threshold"].as_f64().unwrap());
    assert!(score >= threshold && score <= 1.0);
    assert_eq!(verdict["model_version"].as_str().unwrap().len(), 16);
    let shares = verdict["contributions"].as_object().unwrap();
    assert_eq!(shares.len(), 3);
    assert!((shares.values().map(|share| share.as_f64().unwrap()).sum::<f64>() - 1.0).abs() < 1e-9);
    assert!(shares["fare"].as_f64() > shares["trip.miles"].as_f64(), "{verdict}");
    // The largest share comes first.
    let first = answer.text.split(r#""contributions":{""#).nth(1).unwrap();
    assert!(first.starts_with("fare"), "{}", answer.text);
}

#[tokio::test]
async fn a_use_case_can_be_named() {
    let router = router();
    let unnamed = post(&router, "/predict", spike().to_string()).await;
    let named = post(&router, "/predict/rides", spike().to_string()).await;
    assert_eq!((named.status.as_u16(), named.json()), (200, unnamed.json()));
    let problem = post(&router, "/predict/flights", spike().to_string()).await.problem(404);
    assert_eq!(problem["detail"], r#"there is no use case "flights" here; there are: rides"#);
    get(&router, "/schema/flights").await.problem(404);
}

#[tokio::test]
async fn a_batch_answers_each_event_as_it_is_answered_alone() {
    let router = router();
    let one = post(&router, "/predict", spike().to_string()).await.json();
    let faulty = json!({"fare": -1});
    let events = json!([usual(), faulty, spike()]);
    for body in [events.clone(), json!({"instances": events})] {
        for path in ["/predict/batch", "/predict/rides/batch"] {
            let batch = post(&router, path, body.to_string()).await;
            assert_eq!(batch.status, 200, "{}", batch.text);
            let batch = batch.json();
            assert_eq!((&batch["anomalies"], &batch["invalid"]), (&json!(1), &json!(1)));
            let rows = batch["predictions"].as_array().unwrap();
            let indices: Vec<&Value> = rows.iter().map(|row| &row["index"]).collect();
            assert_eq!(indices, [0, 1, 2]);
            for member in ["score", "is_anomaly", "contributions"] {
                assert_eq!(rows[2][member], one[member]);
            }
            let fields: Vec<&Value> =
                rows[1]["errors"].as_array().unwrap().iter().map(|fault| &fault["field"]).collect();
            assert_eq!(fields, ["fare", "trip.miles"]);
            assert!(rows[1].get("score").is_none());
        }
    }
}

#[tokio::test]
async fn a_batch_may_be_large_or_empty() {
    let router = router();
    let events: Vec<Value> = (0..500).map(|i| if i % 100 == 0 { spike() } else { usual() }).collect();
    let batch = post(&router, "/predict/batch", json!(events).to_string()).await.json();
    assert_eq!(batch["predictions"].as_array().unwrap().len(), 500);
    assert_eq!(batch["anomalies"], 5);
    let empty = post(&router, "/predict/batch", "[]").await;
    assert_eq!((empty.status.as_u16(), &empty.json()["predictions"]), (200, &json!([])));
}

#[tokio::test]
async fn rows_and_requests_are_counted() {
    let router = router();
    post(&router, "/predict", spike().to_string()).await;
    post(&router, "/predict/batch", json!([usual(), spike(), 3]).to_string()).await;
    post(&router, "/predict/rides", "{").await;
    let text = get(&router, "/metrics").await.text;
    for line in [
        r#"pulse_ml_scored_rows_total{use_case="rides"} 3"#,
        r#"pulse_ml_anomalies_total{use_case="rides"} 2"#,
        r#"pulse_ml_requests_total{route="/predict",status="2xx"} 1"#,
        r#"pulse_ml_requests_total{route="/predict/{use_case}",status="4xx"} 1"#,
        r#"pulse_ml_request_duration_seconds_count{route="/predict/batch"} 1"#,
        r#"pulse_ml_model_trained_rows{use_case="rides"} 180"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in:\n{text}");
    }
    assert!(text.contains(r#"pulse_ml_model_info{use_case="rides",version=""#), "{text}");
}
