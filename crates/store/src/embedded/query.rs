//! The [`AnomalyQuery`]: what dashboards ask.

use std::collections::HashMap;
use std::sync::Arc;

use pulse_core::AnomalyId;
use pulse_core::ports::{AnomalyFilter, AnomalyQuery, Bucket, GroupBy, StoredAnomaly};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row as _, Sqlite};

use crate::error::StoreError;
use crate::rows::{Columns, severity_of_rank, severity_rank};

use super::Shared;

#[cfg(test)]
mod tests;

const COLUMNS: &str = "SELECT sequence, id, topic, partition, \"offset\", use_case, entity, event_time, detected_at, \
                       severity, score, threshold, rest";

/// The blocks of arrival that the index of ids is made of, the latest first.
const BLOCKS: &str = "WITH RECURSIVE blocks (block) AS (
                        SELECT max(sequence) >> 14 FROM anomalies
                        UNION ALL
                        SELECT block - 1 FROM blocks WHERE block > (SELECT min(sequence) >> 14 FROM anomalies)) ";

/// Reads anomalies.
#[derive(Debug, Clone)]
pub struct EmbeddedQuery(Arc<Shared>);

impl EmbeddedQuery {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    async fn rows(&self, mut query: QueryBuilder<Sqlite>) -> Result<Vec<SqliteRow>, StoreError> {
        let db = &self.0.db;
        query.build().fetch_all(db.readers()).await.map_err(|source| db.error(source))
    }

    async fn anomalies(&self, query: QueryBuilder<Sqlite>) -> Result<Vec<StoredAnomaly>, StoreError> {
        self.rows(query).await?.iter().map(|row| self.anomaly(row)).collect()
    }

    fn anomaly(&self, row: &SqliteRow) -> Result<StoredAnomaly, StoreError> {
        let sequence = row.get::<i64, _>(0).cast_unsigned();
        let columns = Columns {
            id: row.get(1),
            topic: row.get(2),
            partition: row.get(3),
            offset: row.get(4),
            use_case: row.get(5),
            entity: row.get(6),
            event_time: row.get(7),
            detected_at: row.get(8),
            severity: row.get(9),
            score: row.get(10),
            threshold: row.get(11),
            rest: row.get(12),
        };
        let damaged = |reason| StoreError::Damaged {
            path: self.0.db.path().to_owned(),
            reason: format!("anomaly {sequence}: {reason}"),
        };
        Ok(StoredAnomaly { sequence, anomaly: columns.anomaly().map_err(damaged)? })
    }

    async fn top_detectors(&self, filter: &AnomalyFilter, limit: u32) -> Result<Vec<(String, u64)>, StoreError> {
        let mut query =
            QueryBuilder::new("SELECT s.names, c.n FROM (SELECT detector_set, count(*) AS n FROM anomalies");
        restrict(&mut query, filter);
        query.push(" GROUP BY detector_set) c JOIN detector_sets s ON s.id = c.detector_set");
        let mut counts: HashMap<String, u64> = HashMap::new();
        for row in self.rows(query).await? {
            let damaged = |error: serde_json::Error| StoreError::Damaged {
                path: self.0.db.path().to_owned(),
                reason: format!("a set of detectors: {error}"),
            };
            let names: Vec<String> = serde_json::from_str(row.get(0)).map_err(damaged)?;
            for name in names {
                *counts.entry(name).or_default() += row.get::<i64, _>(1).cast_unsigned();
            }
        }
        let mut counts: Vec<(String, u64)> = counts.into_iter().collect();
        counts.sort_by(|(a, n), (b, m)| m.cmp(n).then_with(|| a.cmp(b)));
        counts.truncate(limit as usize);
        Ok(counts)
    }

    async fn top_column(
        &self,
        column: &'static str,
        filter: &AnomalyFilter,
        limit: u32,
    ) -> Result<Vec<(String, u64)>, StoreError> {
        let mut query = QueryBuilder::new("SELECT CAST(");
        query.push(column).push(" AS TEXT), count(*) AS n FROM anomalies");
        restrict(&mut query, filter);
        query.push(" GROUP BY ").push(column).push(" ORDER BY n DESC, ").push(column);
        query.push(" LIMIT ").push_bind(limit);
        let rows = self.rows(query).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get::<i64, _>(1).cast_unsigned())).collect())
    }
}

/// The anomaly with an id. `prefix` stands before the statement.
fn by_id(prefix: &'static str, id: &AnomalyId) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(prefix);
    query.push(BLOCKS).push(COLUMNS);
    // A cross join keeps its order: block by block, so that it ends with the one that has the id.
    query.push(" FROM blocks CROSS JOIN anomalies INDEXED BY anomalies_id ON sequence >> 14 = block");
    query.push(" AND substr(id, 1, 8) = substr(").push_bind(id.as_str().to_owned()).push(", 1, 8)");
    query.push(" WHERE id = ").push_bind(id.as_str().to_owned()).push(" LIMIT 1");
    query
}

/// Appends the conditions of `filter`, and the index that serves them: the planner has no statistics to choose by.
fn restrict(query: &mut QueryBuilder<Sqlite>, filter: &AnomalyFilter) {
    let index = if filter.entity.is_some() { "anomalies_entity" } else { "anomalies_time" };
    query.push(" INDEXED BY ").push(index).push(" WHERE TRUE");
    if let Some(entity) = &filter.entity {
        query.push(" AND entity = ").push_bind(entity.clone());
    }
    if let Some(from) = filter.from {
        query.push(" AND event_time >= ").push_bind(from.as_microsecond());
    }
    if let Some(to) = filter.to {
        query.push(" AND event_time < ").push_bind(to.as_microsecond());
    }
    if let Some(use_case) = &filter.use_case {
        query.push(" AND use_case = ").push_bind(use_case.clone());
    }
    if let Some(severity) = filter.severity {
        query.push(" AND severity >= ").push_bind(severity_rank(severity));
    }
    if let Some(detector) = &filter.detector {
        let sets = " AND detector_set IN (SELECT s.id FROM detector_sets s, json_each(s.names) d WHERE d.value = ";
        query.push(sets).push_bind(detector.clone()).push(")");
    }
}

impl AnomalyQuery for EmbeddedQuery {
    type Error = StoreError;

    async fn latest(&self, filter: &AnomalyFilter, limit: u32) -> Result<Vec<StoredAnomaly>, StoreError> {
        let mut query = QueryBuilder::new(COLUMNS);
        query.push(" FROM anomalies");
        restrict(&mut query, filter);
        query.push(" ORDER BY event_time DESC, sequence DESC LIMIT ").push_bind(limit);
        self.anomalies(query).await
    }

    async fn get(&self, id: &AnomalyId) -> Result<Option<StoredAnomaly>, StoreError> {
        Ok(self.anomalies(by_id("", id)).await?.pop())
    }

    async fn since(&self, sequence: u64, limit: u32) -> Result<Vec<StoredAnomaly>, StoreError> {
        let mut query = QueryBuilder::new(COLUMNS);
        query.push(" FROM anomalies WHERE sequence > ").push_bind(i64::try_from(sequence).unwrap_or(i64::MAX));
        query.push(" ORDER BY sequence LIMIT ").push_bind(limit);
        self.anomalies(query).await
    }

    async fn last_sequence(&self) -> Result<u64, StoreError> {
        let rows = self.rows(QueryBuilder::new("SELECT coalesce(max(sequence), 0) FROM anomalies")).await?;
        Ok(rows.first().map_or(0, |row| row.get::<i64, _>(0).cast_unsigned()))
    }

    async fn series(&self, filter: &AnomalyFilter, bucket_ms: u64) -> Result<Vec<Bucket>, StoreError> {
        let width = i64::try_from(bucket_ms).unwrap_or(i64::MAX).saturating_mul(1000).max(1000);
        // Twice modulo, so that times before 1970 are rounded down as well.
        let mut query = QueryBuilder::new("SELECT event_time - ((event_time % ");
        query.push_bind(width).push(") + ").push_bind(width).push(") % ").push_bind(width);
        query.push(" AS start, count(*), avg(score), max(score) FROM anomalies");
        restrict(&mut query, filter);
        query.push(" GROUP BY start ORDER BY start");
        let bucket = |row: &SqliteRow| Bucket {
            start: row.get::<i64, _>(0).div_euclid(1000),
            count: row.get::<i64, _>(1).cast_unsigned(),
            mean_score: row.get(2),
            max_score: row.get(3),
        };
        Ok(self.rows(query).await?.iter().map(bucket).collect())
    }

    async fn top(&self, by: GroupBy, filter: &AnomalyFilter, limit: u32) -> Result<Vec<(String, u64)>, StoreError> {
        match by {
            GroupBy::Detector => self.top_detectors(filter, limit).await,
            GroupBy::Entity => self.top_column("entity", filter, limit).await,
            GroupBy::UseCase => self.top_column("use_case", filter, limit).await,
            GroupBy::Severity => {
                let mut groups = self.top_column("severity", filter, limit).await?;
                for (group, _) in &mut groups {
                    let severity = group.parse().ok().and_then(severity_of_rank);
                    *group = severity.map_or("unknown", |severity| severity.as_str()).to_owned();
                }
                Ok(groups)
            }
        }
    }
}
