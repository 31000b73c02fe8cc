//! The page in a real Chromium: what a person sees and does.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "support/anomalies.rs"]
#[allow(dead_code, reason = "each test uses a part")]
mod anomalies;
#[path = "support/fixture.rs"]
#[allow(dead_code, reason = "each test uses a part")]
mod fixture;

use std::net::SocketAddr;
use std::sync::Arc;

use anomalies::Sketch;
use fixture::{Fixture, quick};
use pulse_core::ports::Clock;
use pulse_runtime::{SystemClock, http};
use pulse_testkit::browser::{Browser, Locator};
use serde_json::Value;

const ROWS: &str = "document.querySelectorAll('#rows tr').length";

/// A dashboard that is served, and where.
async fn served() -> (Fixture, SocketAddr) {
    let fixture = Fixture::new(Arc::new(SystemClock), quick()).await;
    fixture.follow();
    let listener = http::bind("dashboard", SocketAddr::from(([127, 0, 0, 1], 0)), "PORT").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(http::serve(listener, fixture.router(), fixture.stop.clone()));
    (fixture, address)
}

async fn open(browser: &Browser, address: SocketAddr, path: &str) {
    browser.page.goto(&format!("http://{address}/{path}")).await.unwrap();
    browser.until("document.querySelector('#connection').dataset.state === 'live'").await;
}

fn sketch(number: u64, seconds: i64) -> Sketch {
    Sketch::new(number, SystemClock.now(), seconds)
}

#[tokio::test(flavor = "multi_thread")]
async fn anomalies_appear_without_reload_and_can_be_filtered_and_opened() {
    let (mut fixture, address) = served().await;
    let browser = Browser::start(false).await;
    open(&browser, address, "").await;
    assert_eq!(browser.page.title().await.unwrap(), "Stream Pulse");
    browser.until("document.querySelector('#empty h3')?.textContent === 'No anomalies yet'").await;

    let hostile = sketch(2, 2).entity("<img src=x onerror=alert(1)>");
    fixture.store(&[sketch(1, 3).severity("critical").anomaly(), hostile.anomaly()]).await;
    browser.until(&format!("{ROWS} === 2")).await;
    let reason = browser.eval("document.querySelector('#rows tr:last-child .reason').textContent").await;
    assert_eq!(reason, "fare_amount 186.20, expected 2.10 to 26.30");
    assert_eq!(
        browser.eval("document.querySelector('#rows .entity a').textContent").await,
        "<img src=x onerror=alert(1)>"
    );
    assert_eq!(browser.eval("document.querySelectorAll('img').length").await, 0);
    browser.until("document.querySelector('#kpi-window').textContent === '2'").await;
    browser.until("document.querySelectorAll('#entities button').length === 2").await;

    browser.page.find(Locator::Css("input[name=severity][value=critical]")).await.unwrap().click().await.unwrap();
    browser.until(&format!("{ROWS} === 1 && location.search === '?severity=critical'")).await;
    assert_eq!(browser.eval("document.querySelector('#rows .severity').textContent").await, "Critical");

    browser.page.find(Locator::Css("#rows tr .reason")).await.unwrap().click().await.unwrap();
    browser.until("document.querySelectorAll('#detail[open] .verdict').length === 2").await;
    let hash = format!("#anomaly/{}", sketch(1, 0).id());
    assert_eq!(browser.eval("location.hash").await, Value::from(hash));
    let text = browser.eval("document.querySelector('#detail').innerText").await;
    let text = text.as_str().unwrap();
    for shown in [
        "Rolling z-score",
        "Isolation forest",
        "threshold 3",
        "fare_per_mile",
        "27%",
        "9007199254740993",
        "partition 3, offset 1",
    ] {
        assert!(text.contains(shown), "{shown} is not in\n{text}");
    }
    // It slides in.
    browser.until("document.querySelector('#detail').getBoundingClientRect().width === 640").await;
    assert_eq!(browser.complaints().await, Vec::<Value>::new());
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_opens_one_anomaly_and_escape_returns_to_the_list() {
    let (mut fixture, address) = served().await;
    fixture.store(&[sketch(1, 3).anomaly(), sketch(2, 2).anomaly()]).await;
    let browser = Browser::start(false).await;
    open(&browser, address, &format!("#anomaly/{}", sketch(1, 0).id())).await;
    browser.until("document.querySelector('#detail-title')?.textContent === 'JFK Airport'").await;
    browser.page.active_element().await.unwrap().send_keys("\u{e00c}").await.unwrap();
    browser.until("!document.querySelector('#detail').open && location.hash === ''").await;
    browser.until(&format!("{ROWS} === 2")).await;
    assert_eq!(browser.complaints().await, Vec::<Value>::new());
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_holds_arrivals_back_and_a_burst_stays_bounded() {
    let (mut fixture, address) = served().await;
    let browser = Browser::start(false).await;
    open(&browser, address, "").await;
    let pause = browser.page.find(Locator::Css("#pause")).await.unwrap();
    pause.click().await.unwrap();
    let burst: Vec<_> = (0..1_500).map(|number| sketch(number, 1).anomaly()).collect();
    fixture.store(&burst).await;
    browser.until("document.querySelector('#pause').textContent === 'Resume (1,500 new)'").await;
    assert_eq!(browser.eval(ROWS).await, 0);
    pause.click().await.unwrap();
    browser.until("document.querySelector('#kpi-window').textContent === '1,500'").await;
    assert_eq!(browser.eval(ROWS).await, 200);
    assert_eq!(browser.eval("document.querySelector('#list-hint').textContent").await, "the latest 200 of 1,500");
    assert_eq!(browser.complaints().await, Vec::<Value>::new());
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_shows_cards_without_scrolling_sideways() {
    let (mut fixture, address) = served().await;
    let long = "A zone with a very long name, as they come: Saint-Michaels-Cemetery/Woodside-and-everything-around-it";
    fixture.store(&[sketch(1, 3).severity("high").anomaly(), sketch(2, 2).entity(long).anomaly()]).await;
    let browser = Browser::start(true).await;
    open(&browser, address, "").await;
    browser.until(&format!("{ROWS} === 2")).await;
    assert_eq!(browser.eval("innerWidth").await, 390);
    assert_eq!(browser.eval("document.documentElement.scrollWidth").await, 390);
    assert_eq!(browser.eval("getComputedStyle(document.querySelector('#rows tr')).display").await, "grid");
    browser.page.find(Locator::Css("#rows tr:last-child .entity a")).await.unwrap().click().await.unwrap();
    browser.until("document.querySelectorAll('#detail[open] .verdict').length === 2").await;
    assert_eq!(browser.eval("document.querySelector('#detail').scrollWidth").await, 390);
    assert_eq!(browser.complaints().await, Vec::<Value>::new());
    browser.end().await;
}
