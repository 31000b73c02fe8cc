//! Putting records into the log.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use pulse_core::{NewRecord, partition_of};
use sqlx::{QueryBuilder, Row as _, Sqlite};

use crate::codec::{self, LARGEST_RECORD};
use crate::error::StoreError;

use super::Shared;
use super::db::Txn;
use super::topics::Topic;

/// Bytes of records, before compression, from which a batch is closed.
const BATCH_BYTES: usize = 256 << 10;
/// Rows of one insert; more would only make more distinct statements.
const ROWS: usize = 16;
/// Bytes of records from which encoding leaves the async threads alone.
const ENCODE_APART: usize = 64 << 10;

/// Records on their way into the log: grouped, encoded, not yet given offsets.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    groups: Vec<Group>,
}

/// Records of one partition.
#[derive(Debug)]
struct Group {
    topic: Arc<Topic>,
    partition: usize,
    blobs: Vec<(u32, Vec<u8>)>,
}

/// New ends of partitions, to be made known after the commit.
#[derive(Debug, Default)]
#[must_use]
pub(super) struct Appended(Vec<(Arc<Topic>, usize, u64)>);

impl Appended {
    /// Makes the new ends known, and wakes those who wait for them.
    pub(super) fn publish(self) {
        for (topic, partition, end) in &self.0 {
            topic.partitions[*partition].rise(*end);
        }
        for (topic, ..) in &self.0 {
            topic.announce();
        }
    }
}

/// Groups `records` by topic and partition, in order, and encodes them.
///
/// A record without partition and key goes to the partition that its place among such records of this call says.
pub(super) async fn prepare(shared: &Shared, records: Vec<NewRecord>) -> Result<Prepared, StoreError> {
    let mut grouped: BTreeMap<(i64, usize), (Arc<Topic>, Vec<NewRecord>)> = BTreeMap::new();
    let mut last: Option<Arc<Topic>> = None;
    let mut keyless = 0;
    let mut bytes = 0;
    for record in records {
        let topic = match &last {
            Some(topic) if topic.name == record.topic => topic.clone(),
            _ => shared.topics.get(&shared.db, &record.topic).await?,
        };
        let partition = partition(&topic, &record, &mut keyless)?;
        let size = codec::size_of(&record);
        if size > LARGEST_RECORD {
            let reason = format!("{size} bytes are more than the {LARGEST_RECORD} that a record may have");
            return Err(StoreError::Unstorable { item: format!("a record for {:?}", topic.name), reason });
        }
        bytes += size;
        let group = grouped.entry((topic.id, partition)).or_insert_with(|| (topic.clone(), Vec::new()));
        group.1.push(record);
        last = Some(topic);
    }
    let encode = move || Prepared {
        groups: grouped
            .into_iter()
            .map(|((_, partition), (topic, records))| Group { topic, partition, blobs: encode(&records) })
            .collect(),
    };
    if bytes < ENCODE_APART {
        return Ok(encode());
    }
    match tokio::task::spawn_blocking(encode).await {
        Ok(prepared) => Ok(prepared),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime is shutting down.
        Err(_) => Err(StoreError::Closed),
    }
}

fn partition(topic: &Topic, record: &NewRecord, keyless: &mut usize) -> Result<usize, StoreError> {
    let count = topic.partitions.len();
    let number = match (record.partition, &record.key) {
        (Some(number), _) => {
            topic.partition(number)?;
            number as usize
        }
        (None, Some(key)) => partition_of(key, u32::try_from(count).unwrap_or(u32::MAX)) as usize,
        (None, None) => {
            *keyless += 1;
            (*keyless - 1) % count
        }
    };
    Ok(number)
}

fn encode(records: &[NewRecord]) -> Vec<(u32, Vec<u8>)> {
    let mut blobs = Vec::new();
    let mut rest = records;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = |record: &&NewRecord| {
            bytes += codec::size_of(record);
            bytes <= BATCH_BYTES
        };
        let count = rest.iter().take_while(fits).count().max(1);
        let (batch, tail) = rest.split_at(count);
        blobs.push((u32::try_from(count).unwrap_or(u32::MAX), codec::encode(batch)));
        rest = tail;
    }
    blobs
}

/// Writes `prepared` in `txn`.
pub(super) async fn write(shared: &Shared, txn: &mut Txn<'_>, prepared: Prepared) -> Result<Appended, StoreError> {
    if prepared.groups.is_empty() {
        return Ok(Appended::default());
    }
    let ends = ends(txn, &prepared).await?;
    let now = shared.clock.now().as_millisecond();
    let mut appended = Vec::with_capacity(prepared.groups.len());
    let mut rows = Vec::new();
    let mut changes = String::from("[");
    for Group { topic, partition, blobs } in prepared.groups {
        let id = topic.partitions[partition].id;
        let mut end = *ends.get(&id).ok_or_else(|| StoreError::UnknownTopic { topic: topic.name.to_string() })?;
        let mut bytes = 0;
        for (count, blob) in blobs {
            let base = end;
            end += i64::from(count);
            bytes += blob.len();
            rows.push((id, base, end, blob));
        }
        let comma = if changes.len() > 1 { "," } else { "" };
        // Writing into a string cannot fail.
        _ = write!(changes, "{comma}[{id},{end},{bytes}]");
        appended.push((topic, partition, end.cast_unsigned()));
    }
    changes.push(']');
    insert(txn, rows, now).await?;
    let sql = "UPDATE partitions SET next_offset = n.value ->> 1, bytes = bytes + (n.value ->> 2) \
               FROM json_each(?) AS n WHERE partitions.id = n.value ->> 0";
    let updated = sqlx::query(sql).bind(changes).execute(txn.conn()).await;
    updated.map_err(|source| txn.error(source))?;
    Ok(Appended(appended))
}

/// Where the partitions of `prepared` end, by their ids.
async fn ends(txn: &mut Txn<'_>, prepared: &Prepared) -> Result<BTreeMap<i64, i64>, StoreError> {
    let ids: Vec<i64> = prepared.groups.iter().map(|group| group.topic.partitions[group.partition].id).collect();
    let sql = "SELECT id, next_offset FROM partitions WHERE id IN (SELECT value FROM json_each(?))";
    let rows = sqlx::query(sql).bind(format!("{ids:?}")).fetch_all(txn.conn()).await;
    let rows = rows.map_err(|source| txn.error(source))?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

async fn insert(txn: &mut Txn<'_>, rows: Vec<(i64, i64, i64, Vec<u8>)>, now: i64) -> Result<(), StoreError> {
    let mut rows = rows.into_iter();
    while rows.len() > 0 {
        let sql = "INSERT INTO batches (partition_id, base_offset, next_offset, appended_at, blob) ";
        let mut query = QueryBuilder::<Sqlite>::new(sql);
        query.push_values(rows.by_ref().take(ROWS), |mut row, (id, base, end, blob)| {
            row.push_bind(id).push_bind(base).push_bind(end).push_bind(now).push_bind(blob);
        });
        query.build().execute(txn.conn()).await.map_err(|source| txn.error(source))?;
    }
    Ok(())
}
