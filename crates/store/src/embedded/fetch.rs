//! What a source asks the file.

use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, Row as _};

use crate::error::StoreError;

use super::db::Db;
use super::topics::Topic;

/// Partitions of one query; more wait for the next.
pub(super) const PARTITIONS: usize = 16;
/// Batches fetched of each partition at once.
const BATCHES: u32 = 8;

/// A batch as it lies in the file.
#[derive(Debug)]
pub(super) struct Fetched {
    /// Its first offset.
    pub(super) base: u64,
    /// One more than its last offset.
    pub(super) next: u64,
    /// Its records.
    pub(super) blob: Vec<u8>,
}

/// Makes the caller the reader of `topic` for `group`, and fences the one before.
pub(super) async fn take_lease(db: &Db, group: &str, topic: &str) -> Result<i64, StoreError> {
    let sql = "INSERT INTO leases (group_name, topic, epoch) VALUES (?, ?, 1) \
               ON CONFLICT DO UPDATE SET epoch = epoch + 1 RETURNING epoch";
    let mut txn = db.begin().await?;
    let epoch = sqlx::query_scalar(sql).bind(group).bind(topic).fetch_one(txn.conn()).await;
    let epoch = epoch.map_err(|source| txn.error(source));
    txn.finish(epoch).await
}

/// Learns the ends of all partitions of `topic`, and tells the epoch of who reads it for `group`; 0 without one.
pub(super) async fn look(db: &Db, group: Option<&str>, topic: &Topic) -> Result<i64, StoreError> {
    let sql = "SELECT partition, next_offset, \
               coalesce((SELECT epoch FROM leases WHERE group_name = ? AND topic = ?), 0) \
               FROM partitions WHERE topic_id = ?";
    let query = sqlx::query(sql).bind(group).bind(&*topic.name).bind(topic.id);
    let rows = query.fetch_all(db.readers()).await.map_err(|source| db.error(source))?;
    let mut epoch = 0;
    let mut news = false;
    for row in rows {
        if let Ok(partition) = topic.partition(row.get(0)) {
            news |= partition.rise(row.get::<i64, _>(1).cast_unsigned());
        }
        epoch = row.get(2);
    }
    if news {
        topic.announce();
    }
    Ok(epoch)
}

/// What a partition holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    /// Its first offset.
    pub(super) begin: u64,
    /// The offset that the next record will get.
    pub(super) end: u64,
}

/// What each partition of `topic` holds, at one instant.
pub(super) async fn spans(db: &Db, topic: &Topic) -> Result<Vec<Span>, StoreError> {
    let sql = "SELECT start_offset, next_offset FROM partitions WHERE topic_id = ? ORDER BY partition";
    let rows = sqlx::query_as::<_, (i64, i64)>(sql).bind(topic.id).fetch_all(db.readers()).await;
    let rows = rows.map_err(|source| db.error(source))?;
    let span = |(begin, end): (i64, i64)| Span { begin: begin.cast_unsigned(), end: end.cast_unsigned() };
    Ok(rows.into_iter().map(span).collect())
}

/// The next batches of partitions of `topic`, each from an offset on, by their places in it.
pub(super) async fn batches(
    db: &Db,
    topic: &Topic,
    wanted: &[(usize, u64)],
) -> Result<BTreeMap<usize, Vec<Fetched>>, StoreError> {
    let one = "SELECT * FROM (SELECT ? AS place, base_offset, next_offset, blob FROM batches \
               WHERE partition_id = ? AND next_offset > ? ORDER BY next_offset LIMIT ?)";
    // One statement for each number of partitions: only placeholders are joined.
    let sql = vec![one; wanted.len()].join(" UNION ALL ");
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for &(place, from) in wanted {
        let id = topic.partitions[place].id;
        query = query.bind(place as i64).bind(id).bind(from.cast_signed()).bind(BATCHES);
    }
    let rows = query.fetch_all(db.readers()).await.map_err(|source| db.error(source))?;
    let mut found: BTreeMap<usize, Vec<Fetched>> = wanted.iter().map(|&(place, _)| (place, Vec::new())).collect();
    for row in rows {
        let batch = Fetched {
            base: row.get::<i64, _>(1).cast_unsigned(),
            next: row.get::<i64, _>(2).cast_unsigned(),
            blob: row.get(3),
        };
        let place = usize::try_from(row.get::<i64, _>(0)).unwrap_or(usize::MAX);
        found.entry(place).or_default().push(batch);
    }
    Ok(found)
}
