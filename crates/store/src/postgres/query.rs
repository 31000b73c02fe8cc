//! The [`AnomalyQuery`]: what dashboards ask.

use std::sync::Arc;

use pulse_core::ports::{AnomalyFilter, AnomalyQuery, Bucket, GroupBy, StoredAnomaly};
use pulse_core::{Anomaly, AnomalyId, Severity};
use serde::de::DeserializeOwned;
use sqlx::postgres::PgRow;
use sqlx::{Postgres, QueryBuilder, Row as _};

use super::db::Db;
use super::error::PostgresError;
use super::time::Micros;
use crate::rows::{Unfit, anomaly_id};

const COLUMNS: &str = "SELECT sequence, event_time, detected_at, score, threshold, \"offset\", partition, topic, id, \
                       use_case, entity, severity, detectors::text, features::text, contributions::text, event::text, \
                       config_version FROM anomalies";

const SEVERITIES: [Severity; 3] = [Severity::Warning, Severity::High, Severity::Critical];

/// No interval is wider than a year; wider ones serve nobody, and the server could not count with them.
const WIDEST_MS: u64 = 366 * 86_400_000;

/// Reads anomalies.
#[derive(Debug, Clone)]
pub struct PostgresQuery(Arc<Db>);

impl PostgresQuery {
    pub(super) fn new(db: Arc<Db>) -> Self {
        Self(db)
    }

    async fn rows(&self, mut query: QueryBuilder<Postgres>) -> Result<Vec<PgRow>, PostgresError> {
        self.0.answer(query.build().fetch_all(&self.0.pool)).await
    }

    async fn anomalies(&self, query: QueryBuilder<Postgres>) -> Result<Vec<StoredAnomaly>, PostgresError> {
        self.rows(query).await?.iter().map(stored).collect()
    }
}

impl AnomalyQuery for PostgresQuery {
    type Error = PostgresError;

    async fn latest(&self, filter: &AnomalyFilter, limit: u32) -> Result<Vec<StoredAnomaly>, PostgresError> {
        let mut query = QueryBuilder::new(COLUMNS);
        restrict(&mut query, filter);
        query.push(" ORDER BY event_time DESC, sequence DESC LIMIT ").push_bind(i64::from(limit));
        self.anomalies(query).await
    }

    async fn get(&self, id: &AnomalyId) -> Result<Option<StoredAnomaly>, PostgresError> {
        let mut query = QueryBuilder::new(COLUMNS);
        query.push(" WHERE id = ").push_bind(id.as_str().to_owned()).push(" LIMIT 1");
        Ok(self.anomalies(query).await?.pop())
    }

    async fn since(&self, sequence: u64, limit: u32) -> Result<Vec<StoredAnomaly>, PostgresError> {
        let mut query = QueryBuilder::new(COLUMNS);
        query.push(" WHERE sequence > ").push_bind(i64::try_from(sequence).unwrap_or(i64::MAX));
        query.push(" ORDER BY sequence LIMIT ").push_bind(i64::from(limit));
        self.anomalies(query).await
    }

    async fn last_sequence(&self) -> Result<u64, PostgresError> {
        let query = sqlx::query_scalar::<_, i64>("SELECT last_sequence FROM anomaly_counter");
        Ok(self.0.answer(query.fetch_one(&self.0.pool)).await?.cast_unsigned())
    }

    async fn series(&self, filter: &AnomalyFilter, bucket_ms: u64) -> Result<Vec<Bucket>, PostgresError> {
        let width = i64::try_from(bucket_ms.clamp(1, WIDEST_MS)).unwrap_or(1);
        let mut query = QueryBuilder::new("SELECT date_bin(");
        query.push_bind(width).push(" * interval '1 millisecond', event_time, 'epoch') AS start, ");
        query.push("count(*), avg(score), max(score) FROM anomalies");
        restrict(&mut query, filter);
        query.push(" GROUP BY start ORDER BY start");
        let bucket = |row: &PgRow| Bucket {
            start: row.get::<Micros, _>(0).0.div_euclid(1000),
            count: row.get::<i64, _>(1).cast_unsigned(),
            mean_score: row.get(2),
            max_score: row.get(3),
        };
        Ok(self.rows(query).await?.iter().map(bucket).collect())
    }

    async fn top(&self, by: GroupBy, filter: &AnomalyFilter, limit: u32) -> Result<Vec<(String, u64)>, PostgresError> {
        let column = match by {
            GroupBy::Detector => "detector_names",
            GroupBy::Entity => "entity",
            GroupBy::Severity => "severity",
            GroupBy::UseCase => "use_case",
        };
        let mut query = QueryBuilder::new("");
        // Sets are counted first: there are few of them.
        let is_set = by == GroupBy::Detector;
        if is_set {
            query.push("SELECT name, sum(n)::bigint AS n FROM (");
        }
        query.push("SELECT ").push(column).push(" AS name, count(*) AS n FROM anomalies");
        restrict(&mut query, filter);
        query.push(" GROUP BY ").push(column);
        if is_set {
            query.push(") AS sets (names, n), unnest(names) AS name GROUP BY name");
        }
        query.push(" ORDER BY n DESC, name LIMIT ").push_bind(i64::from(limit));
        let rows = self.rows(query).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get::<i64, _>(1).cast_unsigned())).collect())
    }
}

/// Adds what `filter` demands.
fn restrict(query: &mut QueryBuilder<Postgres>, filter: &AnomalyFilter) {
    let AnomalyFilter { use_case, entity, detector, severity, from, to } = filter;
    // No text with the character NUL is stored, and the server would not hear of it.
    let is_impossible = [use_case, entity, detector].into_iter().flatten().any(|wanted| wanted.contains('\0'));
    query.push(" WHERE ").push(if is_impossible { "false" } else { "true" });
    if is_impossible {
        return;
    }
    for (column, wanted) in [(" AND use_case = ", use_case), (" AND entity = ", entity)] {
        if let Some(wanted) = wanted {
            query.push(column).push_bind(wanted.clone());
        }
    }
    if let Some(detector) = detector {
        query.push(" AND ").push_bind(detector.clone()).push(" = ANY (detector_names)");
    }
    if let Some(least) = severity {
        let wanted: Vec<&str> = SEVERITIES.iter().filter(|one| *one >= least).map(|one| one.as_str()).collect();
        query.push(" AND severity = ANY (").push_bind(wanted).push(")");
    }
    for (column, wanted) in [(" AND event_time >= ", from), (" AND event_time < ", to)] {
        if let Some(wanted) = wanted {
            query.push(column).push_bind(Micros::near(*wanted));
        }
    }
}

fn stored(row: &PgRow) -> Result<StoredAnomaly, PostgresError> {
    let sequence = row.get::<i64, _>("sequence").cast_unsigned();
    let anomaly = anomaly(row).map_err(|reason| PostgresError::Damaged { sequence, reason })?;
    Ok(StoredAnomaly { sequence, anomaly })
}

fn anomaly(row: &PgRow) -> Result<Anomaly, Unfit> {
    fn json<T: DeserializeOwned>(row: &PgRow, column: &str) -> Result<T, Unfit> {
        serde_json::from_str(row.get(column)).map_err(|error| format!("{column}: {error}"))
    }
    let time = |column: &str| {
        let micros = row.get::<Micros, _>(column).0;
        jiff::Timestamp::from_microsecond(micros).map_err(|error| format!("{column}: {error}"))
    };
    let severity: &str = row.get("severity");
    let severity = SEVERITIES.into_iter().find(|one| one.as_str() == severity);
    Ok(Anomaly {
        id: anomaly_id(row.get("id"))?,
        topic: row.get("topic"),
        partition: row.get::<i32, _>("partition").cast_unsigned(),
        offset: row.get::<i64, _>("offset").cast_unsigned(),
        use_case: row.get("use_case"),
        entity: row.get("entity"),
        event_time: time("event_time")?,
        detected_at: time("detected_at")?,
        severity: severity.ok_or("no such severity")?,
        score: row.get("score"),
        threshold: row.get("threshold"),
        detectors: json(row, "detectors")?,
        features: json(row, "features")?,
        contributions: json(row, "contributions")?,
        event: json(row, "event")?,
        config_version: row.get("config_version"),
    })
}
