//! The service as a whole.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use prometheus::Registry;
use pulse_runtime::{Health, MlServiceSettings, Secret, admin, http};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::doors::Doors;
use crate::error::{BuildError, RunError};
use crate::metrics::Metrics;
use crate::openapi;
use crate::problem::Problem;
use crate::routes;
use crate::served::ServedUseCase;

/// What a request may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a body.
    pub body_bytes: usize,
    /// Events of a batch.
    pub batch_rows: usize,
    /// Time from the first byte to the answer.
    pub request_time: Duration,
    /// Requests for scores that are being answered at once.
    pub requests: usize,
    /// Batches among them.
    pub batches: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 8 << 20,
            batch_rows: 10_000,
            request_time: Duration::from_secs(10),
            requests: 1024,
            batches: 64,
        }
    }
}

impl From<&MlServiceSettings> for Limits {
    fn from(settings: &MlServiceSettings) -> Self {
        Self {
            body_bytes: settings.max_body_bytes,
            batch_rows: settings.max_batch_rows,
            request_time: settings.request_time,
            requests: settings.max_requests,
            batches: settings.max_batches,
        }
    }
}

/// Who may put another version of a model in force.
#[derive(Debug, Clone)]
pub enum Management {
    /// Nobody: somebody else in this process uses the same model.
    Fixed,
    /// Whoever reaches the service.
    Open,
    /// Who presents this bearer token.
    Token(Secret),
}

/// The service. Clones share everything.
#[derive(Debug, Clone)]
pub struct MlService(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// The one that is meant when none is named.
    first: ServedUseCase,
    /// All, the first included.
    use_cases: Vec<ServedUseCase>,
    limits: Limits,
    doors: Doors,
    management: Management,
    openapi: Value,
    metrics: Metrics,
    registry: Registry,
    health: Health,
}

impl MlService {
    /// A service for `use_cases`; `/predict` means the first of them. It sets `health` once that one has a model.
    ///
    /// # Errors
    /// When there is no use case, one comes twice, or `registry` holds such metrics already.
    pub fn new(
        use_cases: Vec<ServedUseCase>,
        limits: Limits,
        management: Management,
        registry: Registry,
        health: Health,
    ) -> Result<Self, BuildError> {
        let first = use_cases.first().ok_or(BuildError::NoUseCase)?.clone();
        for (index, use_case) in use_cases.iter().enumerate() {
            if use_cases.iter().take(index).any(|earlier| earlier.name() == use_case.name()) {
                return Err(BuildError::RepeatedUseCase(use_case.name().to_owned()));
            }
        }
        let metrics = Metrics::new(&registry)?;
        metrics.watch(&registry, &use_cases, &routes::MEASURED)?;
        let openapi = openapi::document(&use_cases, limits);
        Ok(Self(Arc::new(Inner {
            first,
            use_cases,
            limits,
            doors: Doors::new(limits),
            management,
            openapi,
            metrics,
            registry,
            health,
        })))
    }

    /// All routes.
    pub fn router(&self) -> Router {
        routes::router(self.clone(), admin::router(self.0.registry.clone(), self.0.health.clone()))
    }

    pub(crate) fn first(&self) -> &ServedUseCase {
        &self.0.first
    }

    pub(crate) fn use_cases(&self) -> &[ServedUseCase] {
        &self.0.use_cases
    }

    pub(crate) fn use_case(&self, name: &str) -> Result<&ServedUseCase, Problem> {
        let found = self.use_cases().iter().find(|use_case| use_case.name() == name);
        found.ok_or_else(|| Problem::unknown_use_case(name, self.use_cases().iter().map(ServedUseCase::name)))
    }

    pub(crate) fn limits(&self) -> Limits {
        self.0.limits
    }

    pub(crate) fn doors(&self) -> &Doors {
        &self.0.doors
    }

    pub(crate) fn management(&self) -> &Management {
        &self.0.management
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.0.health.is_ready()
    }

    pub(crate) fn openapi(&self) -> &Value {
        &self.0.openapi
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }
}

/// Serves on `listener` until `stop`; requests under way are answered first.
///
/// # Errors
/// None that are known, as of `http::serve`.
pub async fn run(listener: TcpListener, service: MlService, stop: CancellationToken) -> Result<(), RunError> {
    let become_ready = async {
        service.first().slot().wait().await;
        service.0.health.set_ready();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        served = http::serve(listener, service.router(), stop) => Ok(served?),
        () = become_ready => Ok(()),
    }
}
