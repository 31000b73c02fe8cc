//! A dashboard over a real store in a folder of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use jiff::Timestamp;
use prometheus::Registry;
use pulse_core::Anomaly;
use pulse_core::ports::{AnomalyStore, Applied, Clock, OffsetSpan};
use pulse_dashboard::{Dashboard, DashboardOptions};
use pulse_runtime::Health;
use pulse_store::{EmbeddedAnomalyStore, EmbeddedQuery, EmbeddedStore};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// A clock that stands where it is put.
#[derive(Debug)]
pub(crate) struct FixedClock(AtomicI64);

impl FixedClock {
    pub(crate) fn at(time: Timestamp) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(time.as_millisecond())))
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.0.load(Ordering::Relaxed)).unwrap()
    }
}

/// A store, and a dashboard over it.
pub(crate) struct Fixture {
    pub(crate) dashboard: Arc<Dashboard<EmbeddedQuery>>,
    pub(crate) registry: Registry,
    pub(crate) health: Health,
    pub(crate) stop: CancellationToken,
    pub(crate) writer: EmbeddedAnomalyStore,
    next_offset: u64,
    _folder: TempDir,
}

impl Fixture {
    pub(crate) async fn new(clock: Arc<dyn Clock>, options: DashboardOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(&folder.path().join("pulse.db"), Arc::clone(&clock)).await.unwrap();
        let (registry, stop) = (Registry::new(), CancellationToken::new());
        let health = Health::starting("waiting for the store");
        let dashboard =
            Dashboard::new(store.query(), options, registry.clone(), health.clone(), clock, stop.clone()).unwrap();
        let writer = store.anomaly_store();
        Self { dashboard: Arc::new(dashboard), registry, health, stop, writer, next_offset: 0, _folder: folder }
    }

    /// Follows the store quickly, in a task.
    pub(crate) fn follow(&self) {
        let dashboard = Arc::clone(&self.dashboard);
        tokio::spawn(async move { dashboard.follow().await });
    }

    /// Stores anomalies, in this order.
    pub(crate) async fn store(&mut self, rows: &[Anomaly]) {
        let to = self.next_offset + rows.len() as u64;
        let span = OffsetSpan { topic: "anomalies".into(), partition: 0, from: self.next_offset, to };
        assert_eq!(self.writer.store(rows, &span).await.unwrap(), Applied::Stored);
        self.next_offset = to;
    }

    pub(crate) fn router(&self) -> Router {
        self.dashboard.router()
    }

    /// The status, headers and body of a `GET`.
    pub(crate) async fn get(&self, path: &str) -> (StatusCode, HeaderMap, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = self.router().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 1 << 24).await.unwrap();
        (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
    }

    /// The JSON of a `GET` that succeeds.
    pub(crate) async fn json(&self, path: &str) -> serde_json::Value {
        let (status, _, body) = self.get(path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }
}

/// Options that make a test fast.
pub(crate) fn quick() -> DashboardOptions {
    DashboardOptions { poll_interval: Duration::from_millis(10), ..DashboardOptions::default() }
}
