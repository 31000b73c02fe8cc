//! The [`AnomalyStore`]: rows and the writer's position in one transaction.

use std::collections::HashMap;
use std::sync::Arc;

use pulse_core::Anomaly;
use pulse_core::ports::{AnomalyStore, Applied, OffsetSpan};
use sqlx::{QueryBuilder, Row as _, Sqlite};

use crate::error::StoreError;
use crate::rows::{self, Columns};

use super::Shared;
use super::db::Txn;

/// Rows of one insert.
const ROWS: usize = 64;

/// Stores anomalies.
///
/// An anomaly whose id is stored already is skipped, so that one which stands twice in the topic is stored once.
#[derive(Debug)]
pub struct EmbeddedAnomalyStore {
    shared: Arc<Shared>,
    /// Ids of the sets of detectors met so far.
    sets: HashMap<String, i64>,
}

impl EmbeddedAnomalyStore {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, sets: HashMap::new() }
    }

    async fn write(
        &self,
        txn: &mut Txn<'_>,
        rows: Vec<(String, Columns)>,
        span: &OffsetSpan,
    ) -> Result<(Applied, Vec<(String, i64)>), StoreError> {
        if advance(txn, span).await? == Applied::AlreadyStored {
            return Ok((Applied::AlreadyStored, Vec::new()));
        }
        let mut new: HashMap<String, i64> = HashMap::new();
        for (set, _) in &rows {
            if !self.sets.contains_key(set) && !new.contains_key(set) {
                new.insert(set.clone(), set_id(txn, set).await?);
            }
        }
        let id = |set: &String| self.sets.get(set).or_else(|| new.get(set)).copied().unwrap_or(0);
        insert(txn, rows.into_iter().map(|(set, columns)| (id(&set), columns)).collect()).await?;
        Ok((Applied::Stored, new.into_iter().collect()))
    }
}

impl AnomalyStore for EmbeddedAnomalyStore {
    type Error = StoreError;

    async fn positions(&mut self, topic: &str) -> Result<Vec<(u32, u64)>, StoreError> {
        let db = &self.shared.db;
        let sql = "SELECT partition, next_offset FROM writer_positions WHERE topic = ? ORDER BY partition";
        let rows = sqlx::query(sql).bind(topic).fetch_all(db.readers()).await.map_err(|source| db.error(source))?;
        Ok(rows.iter().map(|row| (row.get(0), row.get::<i64, _>(1).cast_unsigned())).collect())
    }

    async fn store(&mut self, rows: &[Anomaly], span: &OffsetSpan) -> Result<Applied, StoreError> {
        let columns = rows.iter().map(|anomaly| {
            let unfit = |reason| StoreError::Unstorable { item: format!("anomaly {}", anomaly.id), reason };
            let names = rows::detector_names(&anomaly.detectors);
            let set = serde_json::to_string(&names).map_err(|error| unfit(error.to_string()))?;
            Ok((set, Columns::of(anomaly).map_err(unfit)?))
        });
        let columns = columns.collect::<Result<Vec<_>, StoreError>>()?;
        let mut txn = self.shared.db.begin().await?;
        let written = self.write(&mut txn, columns, span).await;
        let (applied, new) = txn.finish(written).await?;
        // Remembered only now: a set of a transaction that was rolled back has no id.
        self.sets.extend(new);
        Ok(applied)
    }
}

/// Moves the stored end of the partition to that of `span`, which must begin there, unless it is stored already.
async fn advance(txn: &mut Txn<'_>, span: &OffsetSpan) -> Result<Applied, StoreError> {
    let (from, to) = (span.from.cast_signed(), span.to.cast_signed());
    let sql = "INSERT INTO writer_positions (topic, partition, next_offset) VALUES (?, ?, ?) ON CONFLICT DO UPDATE \
               SET next_offset = excluded.next_offset WHERE next_offset = ? AND next_offset < excluded.next_offset";
    if span.from <= span.to {
        let query = sqlx::query(sql).bind(&*span.topic).bind(span.partition).bind(to).bind(from);
        let moved = query.execute(txn.conn()).await.map_err(|source| txn.error(source))?;
        if moved.rows_affected() == 1 {
            return Ok(Applied::Stored);
        }
    }
    let sql = "SELECT next_offset FROM writer_positions WHERE topic = ? AND partition = ?";
    let query = sqlx::query_scalar::<_, i64>(sql).bind(&*span.topic).bind(span.partition);
    let stored = query.fetch_optional(txn.conn()).await.map_err(|source| txn.error(source))?;
    let stored = stored.unwrap_or(0).cast_unsigned();
    if span.from <= span.to && span.to <= stored {
        return Ok(Applied::AlreadyStored);
    }
    let topic = span.topic.to_string();
    Err(StoreError::OutOfStep { topic, partition: span.partition, from: span.from, to: span.to, stored })
}

async fn set_id(txn: &mut Txn<'_>, names: &str) -> Result<i64, StoreError> {
    let sql = "INSERT INTO detector_sets (names) VALUES (?) ON CONFLICT DO UPDATE SET names = names RETURNING id";
    let id = sqlx::query_scalar(sql).bind(names).fetch_one(txn.conn()).await;
    id.map_err(|source| txn.error(source))
}

async fn insert(txn: &mut Txn<'_>, rows: Vec<(i64, Columns)>) -> Result<(), StoreError> {
    let mut rows = rows.into_iter();
    while rows.len() > 0 {
        let mut query = QueryBuilder::<Sqlite>::new(
            "INSERT INTO anomalies (id, topic, partition, \"offset\", use_case, entity, event_time, detected_at, \
             severity, score, threshold, detector_set, rest) ",
        );
        query.push_values(rows.by_ref().take(ROWS), |mut row, (set, c)| {
            row.push_bind(c.id).push_bind(c.topic).push_bind(c.partition).push_bind(c.offset);
            row.push_bind(c.use_case).push_bind(c.entity).push_bind(c.event_time).push_bind(c.detected_at);
            row.push_bind(c.severity).push_bind(c.score).push_bind(c.threshold).push_bind(set).push_bind(c.rest);
        });
        query.push(" ON CONFLICT (event_time, id) DO NOTHING");
        query.build().execute(txn.conn()).await.map_err(|source| txn.error(source))?;
    }
    Ok(())
}
