//! The HTTP API over a real store.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "support/anomalies.rs"]
#[allow(dead_code, reason = "each test uses a part")]
mod anomalies;
#[path = "support/fixture.rs"]
#[allow(dead_code, reason = "each test uses a part")]
mod fixture;

use anomalies::{Sketch, noon};
use axum::http::{StatusCode, header};
use fixture::{FixedClock, Fixture, quick};

async fn seeded() -> Fixture {
    let mut fixture = Fixture::new(FixedClock::at(noon()), quick()).await;
    let rows = [
        Sketch::new(1, noon(), 3_000),
        Sketch::new(2, noon(), 600).severity("high"),
        Sketch::new(3, noon(), 40).severity("critical").entity("Astoria"),
        Sketch::new(4, noon(), 20).entity("<img src=x onerror=alert(1)>"),
        Sketch::new(5, noon(), 10),
    ];
    fixture.store(&rows.map(|row| row.anomaly())).await;
    fixture
}

fn ids(answer: &serde_json::Value) -> Vec<u64> {
    let rows = answer["anomalies"].as_array().unwrap().iter();
    rows.map(|row| u64::from_str_radix(row["id"].as_str().unwrap(), 16).unwrap()).collect()
}

#[tokio::test]
async fn the_list_is_filtered_and_newest_first() {
    let fixture = seeded().await;
    let all = fixture.json("/api/anomalies").await;
    assert_eq!(ids(&all), [5, 4, 3, 2, 1]);
    assert_eq!(all["sequence"], all["anomalies"][0]["sequence"]);
    assert_eq!(ids(&fixture.json("/api/anomalies?severity=high").await), [3, 2]);
    assert_eq!(ids(&fixture.json("/api/anomalies?entity=Astoria&detector=rolling_zscore").await), [3]);
    assert_eq!(ids(&fixture.json("/api/anomalies?detector=other").await), [0_u64; 0]);
    assert_eq!(ids(&fixture.json("/api/anomalies?from=2026-01-31T11:50:00Z&to=2026-01-31T11:59:50Z").await), [4, 3, 2]);
    assert_eq!(ids(&fixture.json("/api/anomalies?limit=2&use_case=nyc_taxi").await), [5, 4]);
}

#[tokio::test]
async fn one_anomaly_is_shown_with_its_event_as_it_came() {
    let fixture = seeded().await;
    let (status, headers, body) = fixture.get("/api/anomalies/00000000000000000000000000000003").await;
    assert_eq!((status, headers[header::CONTENT_TYPE].to_str().unwrap()), (StatusCode::OK, "application/json"));
    assert!(body.contains("\"trip_id\": 9007199254740993"), "{body}");
    for missing in ["00000000000000000000000000000009", "3", "%2e%2e"] {
        let (status, headers, body) = fixture.get(&format!("/api/anomalies/{missing}")).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{missing}: {body}");
        assert_eq!(headers[header::CONTENT_TYPE], "application/problem+json");
    }
}

#[tokio::test]
async fn a_series_is_split_by_severity() {
    let fixture = seeded().await;
    let series = fixture.json("/api/series?bucket=1m").await;
    assert_eq!((&series["bucket_seconds"], &series["from"]), (&60.into(), &"2026-01-31T11:45:00Z".into()));
    let counts = |bucket: &serde_json::Value| {
        ["count", "warning", "high", "critical"].map(|name| bucket[name].as_u64().unwrap())
    };
    let buckets = series["buckets"].as_array().unwrap();
    assert_eq!(buckets.iter().map(counts).collect::<Vec<_>>(), [[1, 0, 1, 0], [3, 2, 0, 1]]);
    assert_eq!(buckets[1]["start"], "2026-01-31T11:59:00Z");
    assert_eq!(buckets[1]["max_score"], 22.4);
    let bad = fixture.json("/api/series?bucket=1h&severity=critical&from=2026-01-31T00:00:00Z").await;
    assert_eq!(bad["buckets"].as_array().unwrap().iter().map(counts).collect::<Vec<_>>(), [[1, 0, 0, 1]]);
}

#[tokio::test]
async fn groups_and_the_summary_count() {
    let fixture = seeded().await;
    let top = fixture.json("/api/top?by=entity&limit=1").await;
    assert_eq!(top["groups"], serde_json::json!([{"name": "JFK Airport", "count": 3}]));
    let detectors = fixture.json("/api/top?by=detector").await;
    assert_eq!(detectors["groups"][0]["count"], 5);
    let summary = fixture.json("/api/summary").await;
    assert_eq!(
        (&summary["as_of"], &summary["latest"]),
        (&"2026-01-31T12:00:00Z".into(), &"2026-01-31T11:59:50Z".into())
    );
    assert_eq!(summary["minute"], serde_json::json!({"total": 3, "warning": 2, "high": 0, "critical": 1}));
    assert_eq!((&summary["quarter_hour"]["total"], &summary["hour"]["total"]), (&4.into(), &5.into()));
    assert_eq!(fixture.json("/api/summary?entity=nobody").await["latest"], serde_json::Value::Null);
}

#[tokio::test]
async fn the_summary_ends_at_the_newest_event_where_event_time_runs_ahead() {
    let mut fixture = seeded().await;
    fixture.store(&[Sketch::new(9, noon(), -90).anomaly()]).await;
    let summary = fixture.json("/api/summary").await;
    assert_eq!((&summary["as_of"], &summary["minute"]["total"]), (&"2026-01-31T12:01:30Z".into(), &1.into()));
}

#[tokio::test]
async fn faulty_parameters_are_named_with_their_mend() {
    let fixture = seeded().await;
    for (path, parameter, value, mend) in [
        ("/api/anomalies?limit=5000", "limit", "5000", "from 1 to 1000"),
        ("/api/anomalies?severity=worst", "severity", "worst", "warning, high or critical"),
        ("/api/anomalies?entiti=JFK", "entiti", "JFK", "use use_case, entity"),
        ("/api/anomalies?from=yesterday", "from", "yesterday", "RFC 3339"),
        ("/api/series?bucket=7", "bucket", "7", "such as 15s"),
        ("/api/series?bucket=1s&from=2026-01-01T00:00:00Z", "bucket", "1s", "take a longer one"),
        ("/api/top", "by", "", "must be entity, detector, severity or use_case"),
        ("/api/summary?from=2026-01-31T11:50:00Z", "from", "2026-01-31T11:50:00Z", "is unknown"),
        ("/api/stream?after=soon", "after", "soon", "whole number"),
    ] {
        let (status, headers, body) = fixture.get(path).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}: {body}");
        assert_eq!(headers[header::CONTENT_TYPE], "application/problem+json");
        let problem: serde_json::Value = serde_json::from_str(&body).unwrap();
        let fault = &problem["errors"][0];
        assert_eq!((&fault["parameter"], &fault["value"]), (&parameter.into(), &value.into()), "{path}");
        assert!(fault["message"].as_str().unwrap().contains(mend), "{path}: {fault}");
    }
}

#[tokio::test]
async fn every_answer_is_hardened_and_files_are_cached_by_tag() {
    let fixture = seeded().await;
    for path in ["/", "/js/app.js", "/api/summary", "/api/top", "/nowhere", "/live", "/metrics"] {
        let (_, headers, _) = fixture.get(path).await;
        assert!(headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap().starts_with("default-src 'self'"), "{path}");
        assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff", "{path}");
    }
    let (_, headers, page) = fixture.get("/").await;
    assert!(page.contains("<title>Stream Pulse</title>"));
    let again = axum::http::Request::get("/").header(header::IF_NONE_MATCH, &headers[header::ETAG]);
    let again = again.body(axum::body::Body::empty()).unwrap();
    let response = tower::ServiceExt::oneshot(fixture.router(), again).await.unwrap();
    assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
}

#[tokio::test]
async fn requests_are_counted_by_route() {
    let fixture = seeded().await;
    fixture.get("/api/anomalies/00000000000000000000000000000003").await;
    fixture.get("/no/such/page").await;
    let (_, _, metrics) = fixture.get("/metrics").await;
    for line in [
        r#"pulse_dashboard_requests_total{route="/api/anomalies/{id}",status="200"} 1"#,
        r#"pulse_dashboard_requests_total{route="other",status="404"} 1"#,
        r#"pulse_dashboard_query_duration_seconds_count{query="get"} 1"#,
        "pulse_dashboard_stream_clients 0",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
}
