//! `/docs` in a real Chromium: every operation is shown, and examples run as they stand.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "http/fixture.rs"]
#[allow(dead_code, reason = "each test uses a part")]
mod fixture;

use std::collections::BTreeSet;
use std::net::SocketAddr;

use fixture::router;
use pulse_runtime::http;
use pulse_testkit::browser::{Browser, Locator};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// Operations whose examples say all that is needed, and a text of their answers.
const RUN: [(&str, &str); 10] = [
    ("predict", "\"is_anomaly\""),
    ("predict_batch", "\"is_anomaly\""),
    ("schema", "json-schema.org"),
    ("models", "\"active\""),
    ("health", "\"ready\""),
    ("live", "alive"),
    ("metrics", "# TYPE"),
    ("v2", "\"extensions\""),
    ("v2_model", "\"inputs\""),
    ("v2_infer", "\"outputs\""),
];

/// Operations that need more: a version, a model that may be changed, or a service that has said that it is ready. Those of a use case that
/// is named are as those of the first one.
const NOT_RUN: [&str; 15] = [
    "activate",
    "rollback",
    "set_candidate",
    "remove_candidate",
    "remove",
    "ready",
    "v2_live",
    "v2_ready",
    "v2_model_ready",
    "v2_version",
    "v2_version_ready",
    "v2_infer_version",
    "predictrides",
    "predict_batchrides",
    "schemarides",
];

async fn served() -> (SocketAddr, CancellationToken) {
    let listener = http::bind("ml-service", SocketAddr::from(([127, 0, 0, 1], 0)), "PORT").await.unwrap();
    let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    tokio::spawn(http::serve(listener, router(), stop.clone()));
    (address, stop)
}

#[tokio::test(flavor = "multi_thread")]
async fn examples_run_as_they_stand_and_nothing_comes_from_elsewhere() {
    let (address, stop) = served().await;
    let browser = Browser::start(false).await;
    browser.page.goto(&format!("http://{address}/docs/")).await.unwrap();
    let document = browser.eval("fetch('/openapi.json').then(answer => answer.json())").await;
    let operations =
        document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().values());
    let ids: BTreeSet<&str> = operations.map(|operation| operation["operationId"].as_str().unwrap()).collect();
    let known = RUN.map(|(operation, _)| operation).into_iter().chain(NOT_RUN).collect();
    assert_eq!(ids, known, "each operation is run, or is known not to be");
    browser.until(&format!("document.querySelectorAll('.opblock').length === {}", ids.len())).await;

    for (operation, answer) in RUN {
        let block = format!(".opblock[id$='-{operation}']");
        browser.page.find(Locator::Css(&format!("{block} .opblock-summary"))).await.unwrap().click().await.unwrap();
        browser.until(&format!("document.querySelector(\"{block} .execute\")")).await;
        browser.page.find(Locator::Css(&format!("{block} .execute"))).await.unwrap().click().await.unwrap();
        let live = format!("document.querySelector(\"{block} .live-responses-table .response\")");
        browser.until(&live).await;
        let said = browser.eval(&format!("{live}.innerText")).await;
        let said = said.as_str().unwrap();
        assert!(said.trim_start().starts_with("200") && said.contains(answer), "{operation}: {said}");
        browser.page.find(Locator::Css(&format!("{block} .opblock-summary"))).await.unwrap().click().await.unwrap();
    }

    let elsewhere = "performance.getEntriesByType('resource').map(entry => entry.name).filter(name => !name.startsWith(location.origin + '/') && !name.startsWith('data:'))";
    assert_eq!(browser.eval(elsewhere).await, Value::Array(Vec::new()));
    assert_eq!(browser.complaints().await, Vec::<Value>::new());
    browser.end().await;
    stop.cancel();
}
