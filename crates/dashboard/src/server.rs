//! Puts page, API, stream and admin routes together and serves them.

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use prometheus::Registry;
use pulse_core::ports::{AnomalyQuery, Clock};
use pulse_runtime::{Health, admin, http};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_http::compression::CompressionLayer;

use crate::metrics::{self, Metrics};
use crate::options::DashboardOptions;
use crate::problem::Problem;
use crate::store::Store;
use crate::stream::{self, Hub};
use crate::{api, assets, security};

/// Why the dashboard ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DashboardError {
    /// Its metrics could not be registered.
    #[error("the dashboard's metrics could not be registered")]
    Metrics(#[source] prometheus::Error),
    /// Its server failed.
    #[error("the dashboard's server failed")]
    Serve(#[source] std::io::Error),
}

/// What every handler needs.
pub(crate) struct App<Q> {
    pub(crate) store: Store<Q>,
    pub(crate) hub: Hub,
    pub(crate) options: DashboardOptions,
    pub(crate) metrics: Metrics,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) stop: CancellationToken,
}

/// [`App`], shared.
pub(crate) type Shared<Q> = Arc<App<Q>>;

/// A dashboard that is ready to serve.
pub struct Dashboard<Q> {
    app: Shared<Q>,
    registry: Registry,
    health: Health,
}

impl<Q> fmt::Debug for Dashboard<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dashboard").field("options", &self.app.options).finish_non_exhaustive()
    }
}

impl<Q: AnomalyQuery> Dashboard<Q> {
    /// Makes a dashboard over `query`. Streams end, and [`follow`](Self::follow) returns, when `stop` fires.
    ///
    /// # Errors
    /// When its metrics are in `registry` already.
    pub fn new(
        query: Q,
        options: DashboardOptions,
        registry: Registry,
        health: Health,
        clock: Arc<dyn Clock>,
        stop: CancellationToken,
    ) -> Result<Self, DashboardError> {
        let metrics = Metrics::new(&registry).map_err(DashboardError::Metrics)?;
        let store = Store::new(query, options.query_timeout, metrics.clone());
        let app = App { store, hub: Hub::new(), options, metrics, clock, stop };
        Ok(Self { app: Arc::new(app), registry, health })
    }

    /// All routes.
    pub fn router(&self) -> Router {
        let api = Router::new()
            .route("/api/anomalies", get(api::anomalies::list::<Q>))
            .route("/api/anomalies/{id}", get(api::anomalies::one::<Q>))
            .route("/api/series", get(api::series::series::<Q>))
            .route("/api/top", get(api::top::top::<Q>))
            .route("/api/summary", get(api::summary::summary::<Q>))
            .route("/api/stream", get(stream::open::<Q>))
            .with_state(Arc::clone(&self.app));
        let router = api
            .merge(assets::router())
            .merge(admin::router(self.registry.clone(), self.health.clone()))
            .fallback(|| async { Problem::not_found("there is nothing here: the page is at /, its API under /api") })
            .layer(from_fn_with_state(self.app.metrics.clone(), metrics::track))
            .layer(CompressionLayer::new());
        security::harden(router)
    }

    /// Follows the store and feeds the streams, until stopped. Says through [`Health`] whether the store answers.
    pub async fn follow(&self) {
        stream::follow(&self.app, &self.health).await;
    }

    /// Serves on `listener` until stopped.
    ///
    /// # Errors
    /// None that are known, as of `http::serve`.
    pub async fn run(self, listener: TcpListener) -> Result<(), DashboardError> {
        let stop = self.app.stop.clone();
        let serve = async {
            let result = http::serve(listener, self.router(), stop.clone()).await;
            // Without a server nobody needs the follower.
            stop.cancel();
            result
        };
        let (served, ()) = tokio::join!(serve, self.follow());
        served.map_err(DashboardError::Serve)
    }
}

/// Serves a dashboard over `query` on `listener` until `stop` fires.
///
/// # Errors
/// When its metrics are in `registry` already, or the server fails.
pub async fn run<Q: AnomalyQuery>(
    listener: TcpListener,
    query: Q,
    options: DashboardOptions,
    registry: Registry,
    health: Health,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) -> Result<(), DashboardError> {
    // A child: a failing server ends this dashboard, not its caller.
    Dashboard::new(query, options, registry, health, clock, stop.child_token())?.run(listener).await
}
