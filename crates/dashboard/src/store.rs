//! The store as the dashboard sees it: every query timed, bounded in time, and its failures turned into problems.

use std::future::Future;
use std::time::Duration;

use pulse_core::AnomalyId;
use pulse_core::ports::{AnomalyFilter, AnomalyQuery, Bucket, GroupBy, PortError, StoredAnomaly};
use tokio::time::{Instant, timeout};

use crate::metrics::Metrics;
use crate::problem::Problem;

/// A measured [`AnomalyQuery`].
#[derive(Debug, Clone)]
pub(crate) struct Store<Q> {
    query: Q,
    limit: Duration,
    metrics: Metrics,
}

impl<Q: AnomalyQuery> Store<Q> {
    pub(crate) fn new(query: Q, limit: Duration, metrics: Metrics) -> Self {
        Self { query, limit, metrics }
    }

    async fn measured<T, E: PortError>(
        &self,
        name: &'static str,
        call: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, Problem> {
        let started = Instant::now();
        let result = timeout(self.limit, call).await;
        self.metrics.query(name, started.elapsed(), !matches!(result, Ok(Ok(_))));
        match result {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => {
                tracing::warn!(query = name, error = &error as &dyn std::error::Error, "a query of the store failed");
                Err(Problem::of_store(&error))
            }
            Err(_) => {
                tracing::warn!(query = name, limit = ?self.limit, "a query of the store took too long");
                Err(Problem::timed_out())
            }
        }
    }

    pub(crate) async fn latest(&self, filter: &AnomalyFilter, limit: u32) -> Result<Vec<StoredAnomaly>, Problem> {
        self.measured("latest", self.query.latest(filter, limit)).await
    }

    pub(crate) async fn get(&self, id: &AnomalyId) -> Result<Option<StoredAnomaly>, Problem> {
        self.measured("get", self.query.get(id)).await
    }

    pub(crate) async fn since(&self, sequence: u64, limit: u32) -> Result<Vec<StoredAnomaly>, Problem> {
        self.measured("since", self.query.since(sequence, limit)).await
    }

    pub(crate) async fn last_sequence(&self) -> Result<u64, Problem> {
        self.measured("last_sequence", self.query.last_sequence()).await
    }

    pub(crate) async fn series(&self, filter: &AnomalyFilter, bucket_ms: u64) -> Result<Vec<Bucket>, Problem> {
        self.measured("series", self.query.series(filter, bucket_ms)).await
    }

    pub(crate) async fn top(
        &self,
        by: GroupBy,
        filter: &AnomalyFilter,
        limit: u32,
    ) -> Result<Vec<(String, u64)>, Problem> {
        self.measured("top", self.query.top(by, filter, limit)).await
    }
}
