//! Dropping what is old: whole partitions where that is possible, rows where not.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tokio::time::Instant;

use super::db::Db;
use super::error::PostgresError;
use super::partitions::{self, Day, LOCK_TIMEOUT};
use super::time::Micros;

/// The lock of the database that one process at a time holds for this.
const LOCK: i64 = 0x5055_4c53_0002;
/// Deleting holds up nobody, so that it may take its time. The first time there may be much.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(600);

/// What was dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PostgresRetained {
    /// Partitions.
    pub partitions: u64,
    /// Anomalies, those of the partitions among them.
    pub anomalies: u64,
}

/// Drops anomalies that were detected longer than `max_age` before `now`.
pub(super) async fn retain(db: &Db, now: Timestamp, max_age: Duration) -> Result<PostgresRetained, PostgresError> {
    let begin = Instant::now();
    let age = SignedDuration::try_from(max_age).unwrap_or(SignedDuration::MAX);
    let oldest = now.saturating_sub(age).unwrap_or(Timestamp::MIN);
    let mut conn = db.dedicated().await?;
    let dropped = on(db, &mut conn, oldest).await;
    // It gives the lock back.
    drop(conn.close().await);
    let dropped = dropped?;
    if dropped != PostgresRetained::default() {
        let PostgresRetained { partitions, anomalies } = dropped;
        tracing::info!(anomalies, partitions, %oldest, took = ?begin.elapsed(), "old anomalies were dropped");
    }
    Ok(dropped)
}

async fn on(db: &Db, conn: &mut PgConnection, oldest: Timestamp) -> Result<PostgresRetained, PostgresError> {
    let mut dropped = PostgresRetained::default();
    let lock = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(LOCK).fetch_one(&mut *conn);
    if !db.answer(lock).await? {
        tracing::debug!("another process drops old anomalies just now");
        return Ok(dropped);
    }
    let timeout = format!("SET statement_timeout = '{}s'", STATEMENT_TIMEOUT.as_secs());
    db.answer(conn.execute(AssertSqlSafe(timeout))).await?;
    for name in partitions::all(db, conn).await? {
        let is_over = Day::of_partition(&name).and_then(Day::end).is_some_and(|end| end <= oldest);
        if is_over && let Some(rows) = drop_whole(db, conn, &name, oldest).await? {
            dropped.partitions += 1;
            dropped.anomalies += rows;
        } else {
            dropped.anomalies += delete(db, conn, &name, oldest).await?;
        }
    }
    Ok(dropped)
}

/// Drops the partition `name`, unless it has rows that were detected later, or somebody works with the table for long.
async fn drop_whole(
    db: &Db,
    conn: &mut PgConnection,
    name: &str,
    oldest: Timestamp,
) -> Result<Option<u64>, PostgresError> {
    if !is_done(db, conn, name, oldest).await? {
        return Ok(None);
    }
    let count = format!("SELECT count(*) FROM {name}");
    let rows: i64 = answer(db, sqlx::query_scalar(AssertSqlSafe(count)).fetch_one(&mut *conn)).await?;
    let mut txn = db.answer(conn.begin()).await?;
    db.answer(txn.execute(LOCK_TIMEOUT)).await?;
    let locked = async {
        // In the order in which those lock that make partitions, and that write.
        db.answer(sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(partitions::LOCK).execute(&mut *txn)).await?;
        db.answer(txn.execute("LOCK TABLE ONLY anomalies IN ACCESS EXCLUSIVE MODE")).await
    };
    match locked.await {
        Ok(_) => {}
        Err(PostgresError::Busy { .. }) => {
            tracing::debug!(partition = name, "a partition is in use: it is dropped another time");
            return Ok(None);
        }
        Err(error) => return Err(error),
    }
    // Something may have come since.
    if !is_done(db, &mut txn, name, oldest).await? {
        return Ok(None);
    }
    db.answer(txn.execute(AssertSqlSafe(format!("DROP TABLE {name}")))).await?;
    db.answer(txn.commit()).await?;
    Ok(Some(rows.cast_unsigned()))
}

/// Whether all rows of the partition `name` were detected before `oldest`.
async fn is_done(db: &Db, conn: &mut PgConnection, name: &str, oldest: Timestamp) -> Result<bool, PostgresError> {
    let sql = format!("SELECT NOT EXISTS (SELECT FROM {name} WHERE detected_at >= $1)");
    let query = sqlx::query_scalar(AssertSqlSafe(sql)).bind(Micros::near(oldest));
    answer(db, query.fetch_one(conn)).await
}

async fn delete(db: &Db, conn: &mut PgConnection, name: &str, oldest: Timestamp) -> Result<u64, PostgresError> {
    let sql = format!("DELETE FROM {name} WHERE detected_at < $1");
    let query = sqlx::query(AssertSqlSafe(sql)).bind(Micros::near(oldest));
    Ok(answer(db, query.execute(conn)).await?.rows_affected())
}

/// Waits for a statement that may take long; the server sees to its end.
async fn answer<T>(db: &Db, call: impl Future<Output = Result<T, sqlx::Error>> + Send) -> Result<T, PostgresError> {
    call.await.map_err(|source| db.target.error(source))
}
