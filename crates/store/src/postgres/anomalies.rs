//! The [`AnomalyStore`]: rows and the writer's position in one transaction.

use pulse_core::Anomaly;
use pulse_core::ports::{AnomalyStore, Applied, OffsetSpan};
use sqlx::{Connection as _, PgConnection};

use super::PostgresStore;
use super::db::Db;
use super::error::PostgresError;
use super::insert::Rows;
use super::partitions::Partitions;

/// Stores anomalies.
///
/// An anomaly whose id is stored already is skipped, so that one which stands twice in the topic is stored once.
#[derive(Debug)]
pub struct PostgresAnomalyStore {
    store: PostgresStore,
    partitions: Partitions,
}

impl PostgresAnomalyStore {
    pub(super) fn new(store: PostgresStore) -> Self {
        Self { store, partitions: Partitions::default() }
    }
}

impl AnomalyStore for PostgresAnomalyStore {
    type Error = PostgresError;

    async fn positions(&mut self, topic: &str) -> Result<Vec<(u32, u64)>, PostgresError> {
        let db = &self.store.db;
        let sql = "SELECT partition, next_offset FROM writer_positions WHERE topic = $1 ORDER BY partition";
        let query = sqlx::query_as::<_, (i32, i64)>(sql).bind(topic).fetch_all(&db.pool);
        let rows = db.answer(query).await?;
        Ok(rows.into_iter().map(|(partition, end)| (partition.cast_unsigned(), end.cast_unsigned())).collect())
    }

    async fn store(&mut self, rows: &[Anomaly], span: &OffsetSpan) -> Result<Applied, PostgresError> {
        let parts = Rows::split(rows)?;
        let db = &self.store.db;
        self.partitions.ensure(db, self.store.clock.now(), parts.iter().flat_map(Rows::times)).await?;
        let mut conn = db.acquire().await?;
        let mut txn = db.answer(conn.begin()).await?;
        if advance(db, &mut txn, span).await? == Applied::AlreadyStored {
            return Ok(Applied::AlreadyStored);
        }
        insert(db, &mut txn, parts).await?;
        db.answer(txn.commit()).await?;
        Ok(Applied::Stored)
    }
}

/// Moves the stored end of the partition to that of `span`, which must begin there, unless it is stored already.
///
/// The row of the position is locked by that until the transaction ends, so that one of two writers waits here, and then
/// finds the end moved.
async fn advance(db: &Db, conn: &mut PgConnection, span: &OffsetSpan) -> Result<Applied, PostgresError> {
    let partition = span.partition.cast_signed();
    let sql = "INSERT INTO writer_positions AS stored (topic, partition, next_offset) VALUES ($1, $2, $3) \
               ON CONFLICT (topic, partition) DO UPDATE SET next_offset = excluded.next_offset \
               WHERE stored.next_offset = $4 AND stored.next_offset < excluded.next_offset";
    if span.from <= span.to {
        let query = sqlx::query(sql).bind(&*span.topic).bind(partition);
        let query = query.bind(span.to.cast_signed()).bind(span.from.cast_signed());
        if db.answer(query.execute(&mut *conn)).await?.rows_affected() == 1 {
            return Ok(Applied::Stored);
        }
    }
    let sql = "SELECT next_offset FROM writer_positions WHERE topic = $1 AND partition = $2";
    let query = sqlx::query_scalar::<_, i64>(sql).bind(&*span.topic).bind(partition);
    let stored = db.answer(query.fetch_optional(conn)).await?.unwrap_or(0).cast_unsigned();
    if span.from <= span.to && span.to <= stored {
        return Ok(Applied::AlreadyStored);
    }
    let topic = span.topic.to_string();
    Err(PostgresError::OutOfStep { topic, partition: span.partition, from: span.from, to: span.to, stored })
}

/// Numbers the rows and puts them into the table. Whoever has the numbers keeps others from getting any until it commits.
async fn insert(db: &Db, conn: &mut PgConnection, parts: Vec<Rows<'_>>) -> Result<(), PostgresError> {
    let count: usize = parts.iter().map(Rows::len).sum();
    if count == 0 {
        return Ok(());
    }
    let sql = "UPDATE anomaly_counter SET last_sequence = last_sequence + $1 RETURNING last_sequence - $1";
    let query = sqlx::query_scalar::<_, i64>(sql).bind(i64::try_from(count).unwrap_or(i64::MAX));
    let mut sequence = db.answer(query.fetch_one(&mut *conn)).await?;
    for part in parts {
        let next = sequence + i64::try_from(part.len()).unwrap_or(i64::MAX);
        part.insert(db, conn, sequence).await?;
        sequence = next;
    }
    Ok(())
}
