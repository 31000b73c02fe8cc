//! Dropping what is old, in small steps.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::Row as _;

use crate::error::StoreError;

use super::Shared;
use super::db::Txn;

/// Batches, or anomalies, dropped in one transaction: a few milliseconds for which other writers wait.
const STEP: usize = 256;

/// What to keep. The default keeps everything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retention {
    /// Batches of the log that were appended longer ago than this are dropped.
    pub max_age: Option<Duration>,
    /// The oldest batches of the log are dropped as long as all together take more bytes than this.
    pub max_bytes: Option<u64>,
    /// Anomalies that were detected longer ago than this are dropped, however old their events are; in order of arrival,
    /// so that one which was detected later than those stored after it holds those back.
    pub anomaly_max_age: Option<Duration>,
}

/// What was dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retained {
    /// Batches of the log.
    pub batches: u64,
    /// Bytes of those batches.
    pub bytes: u64,
    /// Anomalies.
    pub anomalies: u64,
}

/// A batch that may be dropped.
#[derive(Debug)]
struct Head {
    id: i64,
    partition: i64,
    next: i64,
    appended_at: i64,
    bytes: i64,
}

/// Drops whatever `policy` no longer wants.
///
/// A batch goes only when every group that ever restored its partition has committed past it; the anomaly writer counts
/// as a group. A topic that some group reads and none has committed in stays whole; one that no group ever read, as
/// dead letters are, has nobody to wait for. The last batch of a partition stays.
pub(super) async fn retain(shared: &Shared, policy: Retention) -> Result<Retained, StoreError> {
    let now = shared.clock.now();
    let mut total = Retained::default();
    if policy.max_age.is_some() || policy.max_bytes.is_some() {
        let oldest = policy.max_age.map_or(i64::MIN, |age| before(now, age).div_euclid(1000));
        loop {
            let mut txn = shared.db.begin().await?;
            let dropped = drop_batches(&mut txn, oldest, policy.max_bytes).await;
            let (batches, bytes) = txn.finish(dropped).await?;
            total.batches += batches;
            total.bytes += bytes;
            if batches == 0 {
                break;
            }
            shared.db.execute("PRAGMA incremental_vacuum(1024)").await?;
        }
    }
    if let Some(age) = policy.anomaly_max_age {
        let oldest = before(now, age);
        loop {
            let mut txn = shared.db.begin().await?;
            let dropped = drop_anomalies(&mut txn, oldest).await;
            let dropped = txn.finish(dropped).await?;
            total.anomalies += dropped;
            if dropped == 0 {
                break;
            }
            shared.db.execute("PRAGMA incremental_vacuum(1024)").await?;
        }
    }
    Ok(total)
}

/// The microsecond `age` before `now`.
fn before(now: Timestamp, age: Duration) -> i64 {
    now.as_microsecond().saturating_sub(i64::try_from(age.as_micros()).unwrap_or(i64::MAX))
}

async fn drop_batches(txn: &mut Txn<'_>, oldest: i64, max_bytes: Option<u64>) -> Result<(u64, u64), StoreError> {
    let total = sqlx::query_scalar::<_, i64>("SELECT coalesce(sum(bytes), 0) FROM partitions");
    let mut total = total.fetch_one(txn.conn()).await.map_err(|source| txn.error(source))?;
    let most = max_bytes.map_or(i64::MAX, |bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
    let mut ids = Vec::new();
    let mut changes: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
    let before = total;
    for head in heads(txn).await? {
        if head.appended_at >= oldest && total <= most {
            break;
        }
        total -= head.bytes;
        ids.push(head.id);
        let (start, bytes) = changes.entry(head.partition).or_default();
        *start = head.next;
        *bytes += head.bytes;
    }
    if ids.is_empty() {
        return Ok((0, 0));
    }
    let sql = "DELETE FROM batches WHERE id IN (SELECT value FROM json_each(?))";
    let deleted = sqlx::query(sql).bind(format!("{ids:?}")).execute(txn.conn()).await;
    deleted.map_err(|source| txn.error(source))?;
    let changes: Vec<[i64; 3]> = changes.into_iter().map(|(id, (start, bytes))| [id, start, bytes]).collect();
    let sql = "UPDATE partitions SET start_offset = n.value ->> 1, bytes = bytes - (n.value ->> 2) \
               FROM json_each(?) AS n WHERE partitions.id = n.value ->> 0";
    let updated = sqlx::query(sql).bind(format!("{changes:?}")).execute(txn.conn()).await;
    updated.map_err(|source| txn.error(source))?;
    Ok((ids.len() as u64, (before - total).cast_unsigned()))
}

/// The oldest batches that no group needs any more, in order of arrival.
async fn heads(txn: &mut Txn<'_>) -> Result<Vec<Head>, StoreError> {
    // A group that restored some partitions of a topic, but never committed in this one, holds it back.
    let sql = "WITH readers AS (
                 SELECT g.topic, p.partition, coalesce(o.next_offset, 0) AS next_offset
                 FROM (SELECT DISTINCT group_name, topic FROM positions) g
                 JOIN topics t ON t.name = g.topic
                 JOIN partitions p ON p.topic_id = t.id
                 LEFT JOIN positions o
                   ON o.group_name = g.group_name AND o.topic = g.topic AND o.partition = p.partition
                 UNION ALL
                 SELECT topic, partition, next_offset FROM writer_positions
                 UNION ALL
                 SELECT t.name, p.partition, p.next_offset FROM topics t
                 JOIN partitions p ON p.topic_id = t.id
                 WHERE t.name NOT IN (SELECT topic FROM positions)
                   AND t.name NOT IN (SELECT topic FROM writer_positions)
                   AND t.name NOT IN (SELECT topic FROM leases))
               SELECT p.id, min(min(r.next_offset), p.next_offset - 1) FROM readers r
               JOIN topics t ON t.name = r.topic
               JOIN partitions p ON p.topic_id = t.id AND p.partition = r.partition
               GROUP BY p.id";
    let limits = sqlx::query(sql).fetch_all(txn.conn()).await.map_err(|source| txn.error(source))?;
    let mut heads = Vec::new();
    for limit in limits {
        let sql = "SELECT id, partition_id, next_offset, appended_at, length(blob) FROM batches \
                   WHERE partition_id = ? AND next_offset <= ? ORDER BY next_offset LIMIT ?";
        let query = sqlx::query(sql).bind(limit.get::<i64, _>(0)).bind(limit.get::<i64, _>(1)).bind(STEP as i64);
        let rows = query.fetch_all(txn.conn()).await.map_err(|source| txn.error(source))?;
        heads.extend(rows.iter().map(|row| Head {
            id: row.get(0),
            partition: row.get(1),
            next: row.get(2),
            appended_at: row.get(3),
            bytes: row.get(4),
        }));
    }
    heads.sort_unstable_by_key(|head| head.id);
    heads.truncate(STEP);
    Ok(heads)
}

async fn drop_anomalies(txn: &mut Txn<'_>, oldest: i64) -> Result<u64, StoreError> {
    // From the oldest arrival on, as no index knows when an anomaly was detected.
    let sql = "DELETE FROM anomalies WHERE sequence IN (SELECT sequence FROM \
               (SELECT sequence, detected_at FROM anomalies ORDER BY sequence LIMIT ?) WHERE detected_at < ?)";
    let dropped = sqlx::query(sql).bind(STEP as i64).bind(oldest).execute(txn.conn()).await;
    Ok(dropped.map_err(|source| txn.error(source))?.rows_affected())
}
