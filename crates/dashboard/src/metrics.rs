//! What the dashboard counts.

use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry, exponential_buckets,
};
use tokio::time::Instant;

/// Metrics of the dashboard.
#[derive(Debug, Clone)]
pub struct Metrics {
    requests: IntCounterVec,
    request_duration: Histogram,
    pub(crate) stream_clients: IntGauge,
    pub(crate) stream_events: IntCounter,
    pub(crate) stream_resyncs: IntCounter,
    query_duration: HistogramVec,
    query_failures: IntCounterVec,
}

impl Metrics {
    /// Makes and registers them.
    ///
    /// # Errors
    /// When one of the names is taken.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let buckets = exponential_buckets(0.0005, 2.0, 15)?;
        let duration = HistogramOpts::new(
            "pulse_dashboard_request_duration_seconds",
            "Time from a request to its answer's first byte; a stream counts until it opens.",
        );
        let query =
            HistogramOpts::new("pulse_dashboard_query_duration_seconds", "Time that queries of the store take.");
        let metrics = Self {
            requests: IntCounterVec::new(
                Opts::new("pulse_dashboard_requests_total", "Requests answered, by route and status."),
                &["route", "status"],
            )?,
            request_duration: Histogram::with_opts(duration.buckets(buckets.clone()))?,
            stream_clients: IntGauge::new("pulse_dashboard_stream_clients", "Live streams that are open.")?,
            stream_events: IntCounter::new(
                "pulse_dashboard_stream_events_total",
                "Anomalies read from the store for the live streams; counted once, however many are open.",
            )?,
            stream_resyncs: IntCounter::new(
                "pulse_dashboard_stream_resyncs_total",
                "Times a stream told its client to read everything again.",
            )?,
            query_duration: HistogramVec::new(query.buckets(buckets), &["query"])?,
            query_failures: IntCounterVec::new(
                Opts::new("pulse_dashboard_query_failures_total", "Queries of the store that failed or took too long."),
                &["query"],
            )?,
        };
        registry.register(Box::new(metrics.requests.clone()))?;
        registry.register(Box::new(metrics.request_duration.clone()))?;
        registry.register(Box::new(metrics.stream_clients.clone()))?;
        registry.register(Box::new(metrics.stream_events.clone()))?;
        registry.register(Box::new(metrics.stream_resyncs.clone()))?;
        registry.register(Box::new(metrics.query_duration.clone()))?;
        registry.register(Box::new(metrics.query_failures.clone()))?;
        Ok(metrics)
    }

    pub(crate) fn query(&self, name: &str, took: Duration, failed: bool) {
        self.query_duration.with_label_values(&[name]).observe(took.as_secs_f64());
        // Touched in any case, so that it is there at 0 before the first failure.
        self.query_failures.with_label_values(&[name]).inc_by(u64::from(failed));
    }
}

/// Middleware that counts requests under the route they matched, so that labels stay bounded.
pub(crate) async fn track(
    State(metrics): State<Metrics>,
    path: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let response = next.run(request).await;
    let route = path.as_ref().map_or("other", MatchedPath::as_str);
    metrics.requests.with_label_values(&[route, response.status().as_str()]).inc();
    metrics.request_duration.observe(started.elapsed().as_secs_f64());
    response
}
