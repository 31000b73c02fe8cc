//! State of groups: the latest value of every key.

use std::collections::BTreeMap;

use bytes::Bytes;
use pulse_core::ports::StateRecord;
use sqlx::{QueryBuilder, Row as _, Sqlite};

use crate::error::StoreError;

use super::db::{Db, Txn};

/// Rows of one statement.
const ROWS: usize = 32;

/// The id of the state topic called `name`, made where there is none.
pub(super) async fn topic_id(txn: &mut Txn<'_>, name: &str) -> Result<i64, StoreError> {
    // The update changes nothing, but makes the existing row be returned.
    let sql = "INSERT INTO state_topics (name) VALUES (?) ON CONFLICT DO UPDATE SET name = name RETURNING id";
    let id = sqlx::query_scalar(sql).bind(name).fetch_one(txn.conn()).await;
    id.map_err(|source| txn.error(source))
}

/// All keys of a partition.
pub(super) async fn read(db: &Db, topic_id: i64, partition: u32) -> Result<Vec<StateRecord>, StoreError> {
    let sql = "SELECT key, value FROM state WHERE state_topic_id = ? AND partition = ?";
    let query = sqlx::query(sql).bind(topic_id).bind(partition);
    let rows = query.fetch_all(db.readers()).await.map_err(|source| db.error(source))?;
    let record = |row: &sqlx::sqlite::SqliteRow| StateRecord {
        key: Bytes::from(row.get::<Vec<u8>, _>(0)),
        value: Some(Bytes::from(row.get::<Vec<u8>, _>(1))),
    };
    Ok(rows.iter().map(record).collect())
}

/// Writes changes; the last one of a key stands.
pub(super) async fn write(
    txn: &mut Txn<'_>,
    topic_id: i64,
    changes: Vec<(u32, StateRecord)>,
) -> Result<(), StoreError> {
    let latest: BTreeMap<(u32, Bytes), Option<Bytes>> =
        changes.into_iter().map(|(partition, record)| ((partition, record.key), record.value)).collect();
    let (kept, removed): (Vec<_>, Vec<_>) = latest.into_iter().partition(|(_, value)| value.is_some());
    let mut kept = kept.into_iter();
    while kept.len() > 0 {
        let mut query = QueryBuilder::<Sqlite>::new("INSERT INTO state (state_topic_id, partition, key, value) ");
        query.push_values(kept.by_ref().take(ROWS), |mut row, ((partition, key), value)| {
            let value = value.unwrap_or_default();
            row.push_bind(topic_id).push_bind(partition).push_bind(Vec::from(key)).push_bind(Vec::from(value));
        });
        query.push(" ON CONFLICT (state_topic_id, partition, key) DO UPDATE SET value = excluded.value");
        query.build().execute(txn.conn()).await.map_err(|source| txn.error(source))?;
    }
    for ((partition, key), _) in removed {
        let sql = "DELETE FROM state WHERE state_topic_id = ? AND partition = ? AND key = ?";
        let query = sqlx::query(sql).bind(topic_id).bind(partition).bind(Vec::from(key));
        query.execute(txn.conn()).await.map_err(|source| txn.error(source))?;
    }
    Ok(())
}
