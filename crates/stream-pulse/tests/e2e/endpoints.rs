//! What a running `up` answers.

use crate::http::{get, post};
use crate::process::{Up, up};

#[test]
fn the_readme_can_be_followed() {
    let data = tempfile::tempdir().unwrap();
    let mut up = Up::start(&mut up(data.path(), &["--rate", "1000"]));
    up.wait_for("is running");
    let (dashboard, api) = (up.address("dashboard"), up.address("API docs"));

    let trip = r#"{"trip_duration":1800.0,"trip_distance":5.2,"fare_amount":15.50,"total_amount":18.50}"#;
    let verdict = post(&format!("{api}/predict"), trip);
    assert_eq!(verdict.status, 200, "{}", verdict.body);
    let verdict = verdict.json();
    assert_eq!(verdict["is_anomaly"], false, "{verdict}");
    for key in ["score", "threshold", "contributions", "model_version"] {
        assert!(!verdict[key].is_null(), "{key} in {verdict}");
    }
    let spike = trip.replace("15.50", "250").replace("18.50", "253");
    assert_eq!(post(&format!("{api}/predict"), &spike).json()["is_anomaly"], true);
    let wrong = post(&format!("{api}/predict"), &trip.replace("15.50", "\"much\""));
    assert_eq!(wrong.status, 422, "{}", wrong.body);
    assert_eq!(wrong.json()["errors"][0]["field"], "fare_amount", "{}", wrong.body);

    for path in ["/docs/", "/openapi.json", "/schema", "/health", "/models", "/ready"] {
        assert_eq!(get(&format!("{api}{path}")).status, 200, "{path}");
    }
    let page = get(&format!("{dashboard}/"));
    assert!(page.status == 200 && page.body.contains("Stream Pulse"), "{}", page.body);
    let shown = loop {
        let list = get(&format!("{dashboard}/api/anomalies?limit=5"));
        assert_eq!(list.status, 200, "{}", list.body);
        if list.body.contains("isolation_forest") {
            break list;
        }
        up.still_runs();
        std::thread::sleep(std::time::Duration::from_millis(50));
    };
    assert!(shown.body.contains("nyc_taxi"), "{}", shown.body);
    up.signal("INT");
    let (status, printed) = up.end();
    assert!(status.success() && printed.contains("summary of this run"), "{status}: {printed}");
}
