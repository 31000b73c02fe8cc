//! The live stream over a real store: nothing is lost, nothing comes twice, and slow clients are told.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "support/anomalies.rs"]
#[allow(dead_code, reason = "each test uses a part")]
mod anomalies;
#[path = "support/fixture.rs"]
#[allow(dead_code, reason = "each test uses a part")]
mod fixture;

use std::time::Duration;

use anomalies::{Sketch, noon};
use axum::body::{Body, BodyDataStream};
use axum::http::{Request, StatusCode};
use fixture::{FixedClock, Fixture, quick};
use futures_util::StreamExt;
use pulse_core::Anomaly;
use pulse_dashboard::DashboardOptions;
use tokio::time::timeout;
use tower::ServiceExt;

const PATIENCE: Duration = Duration::from_secs(20);

/// A client that reads events.
struct Client {
    body: BodyDataStream,
    text: String,
}

#[derive(Debug)]
struct Event {
    name: String,
    id: u64,
    data: String,
}

impl Client {
    async fn open(fixture: &Fixture, query: &str, last_event_id: Option<u64>) -> Self {
        let mut request = Request::get(format!("/api/stream{query}"));
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        let response = fixture.router().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { body: response.into_body().into_data_stream(), text: String::new() }
    }

    /// The next event that has data; none when the stream ends.
    async fn next(&mut self) -> Option<Event> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
                let event = field("data: ").map(|data| Event {
                    name: field("event: ").unwrap(),
                    id: field("id: ").unwrap().parse().unwrap(),
                    data,
                });
                self.text = rest.to_owned();
                if event.is_some() {
                    return event;
                }
            }
            let bytes = timeout(PATIENCE, self.body.next()).await.expect("an event in time")?.unwrap();
            self.text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }

    /// Reads until `wanted` anomalies came: their numbers, and the id of the last event.
    async fn take(&mut self, wanted: usize) -> (Vec<u64>, u64) {
        let (mut numbers, mut last) = (Vec::new(), 0);
        while numbers.len() < wanted {
            let event = self.next().await.unwrap();
            assert_eq!(event.name, "anomalies");
            let rows: Vec<Anomaly> = serde_json::from_str(&event.data).unwrap();
            numbers.extend(rows.iter().map(|row| row.offset));
            last = event.id;
        }
        (numbers, last)
    }
}

fn rows(numbers: std::ops::Range<u64>) -> Vec<Anomaly> {
    numbers.map(|number| Sketch::new(number, noon(), 0).anomaly()).collect()
}

async fn following(options: DashboardOptions) -> Fixture {
    let fixture = Fixture::new(FixedClock::at(noon()), options).await;
    fixture.follow();
    timeout(PATIENCE, fixture.health.ready()).await.unwrap();
    fixture
}

#[tokio::test]
async fn anomalies_arrive_live_and_a_client_resumes_without_loss() {
    let mut fixture = following(quick()).await;
    fixture.store(&rows(0..3)).await;
    let mut client = Client::open(&fixture, "?after=0", None).await;
    assert_eq!(client.take(3).await.0, [0, 1, 2]);
    fixture.store(&rows(3..5)).await;
    let (numbers, last) = client.take(2).await;
    assert_eq!(numbers, [3, 4]);
    drop(client);

    // More than a page arrives while the client is away, and more while it comes back.
    fixture.store(&rows(5..455)).await;
    let mut client = Client::open(&fixture, "?after=0", Some(last)).await;
    fixture.store(&rows(455..500)).await;
    let (numbers, _) = client.take(495).await;
    assert_eq!(numbers, (5..500).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_new_client_starts_at_the_present() {
    let mut fixture = Fixture::new(FixedClock::at(noon()), quick()).await;
    fixture.store(&rows(0..3)).await;
    fixture.follow();
    let mut client = Client::open(&fixture, "", None).await;
    fixture.store(&rows(3..4)).await;
    assert_eq!(client.take(1).await.0, [3]);
}

#[tokio::test]
async fn a_client_too_far_behind_or_from_another_store_is_told_to_read_again() {
    let mut fixture = following(DashboardOptions { max_replay: 10, ..quick() }).await;
    let mut client = Client::open(&fixture, "", None).await;
    fixture.store(&rows(0..30)).await;
    let (_, last) = client.take(30).await;
    for after in [0, last + 1_000] {
        let mut client = Client::open(&fixture, &format!("?after={after}"), None).await;
        let event = client.next().await.unwrap();
        assert_eq!((event.name.as_str(), event.id), ("resync", last));
    }
    assert!(fixture.get("/metrics").await.2.contains("pulse_dashboard_stream_resyncs_total 2"));
}

#[tokio::test]
async fn a_client_that_does_not_read_is_told_and_goes_on_at_the_present() {
    let mut fixture = following(quick()).await;
    let mut slow = Client::open(&fixture, "?after=0", None).await;
    let mut quick = Client::open(&fixture, "?after=0", None).await;
    // Each store is a batch of its own, once the quick client has seen it; the slow one may lag 64 behind.
    for number in 0..80 {
        fixture.store(&rows(number..number + 1)).await;
        assert_eq!(quick.take(1).await.0, [number]);
    }
    let told = slow.next().await.unwrap();
    assert_eq!(told.name, "resync");
    fixture.store(&rows(80..81)).await;
    assert_eq!(slow.take(1).await.0, [80]);
}

#[tokio::test]
async fn streams_end_when_the_server_stops_and_are_counted_while_open() {
    let fixture = following(DashboardOptions { max_stream_clients: 1, ..quick() }).await;
    let mut client = Client::open(&fixture, "", None).await;
    assert!(fixture.get("/metrics").await.2.contains("pulse_dashboard_stream_clients 1"));
    let (status, _, body) = fixture.get("/api/stream").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{body}");
    fixture.stop.cancel();
    assert!(client.next().await.is_none());
    drop(client);
    assert!(fixture.get("/metrics").await.2.contains("pulse_dashboard_stream_clients 0"));
}

#[tokio::test]
async fn a_silent_stream_is_kept_open() {
    let fixture = following(DashboardOptions { keep_alive: Duration::from_millis(20), ..quick() }).await;
    let mut client = Client::open(&fixture, "", None).await;
    let mut text = String::new();
    while !text.contains(": keep-alive") {
        let bytes = timeout(PATIENCE, client.body.next()).await.unwrap().unwrap().unwrap();
        text.push_str(std::str::from_utf8(&bytes).unwrap());
    }
    assert!(text.starts_with("retry: 1000\nid: 0\n\n"), "{text}");
}
