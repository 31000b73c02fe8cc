//! The [`EventProducer`] of the log.

use std::sync::Arc;

use pulse_core::ports::EventProducer;
use pulse_core::{NewRecord, Record};
use sqlx::Row as _;

use crate::codec::Decoder;
use crate::error::StoreError;

use super::{Shared, append};

/// Writes events into the log.
///
/// A record without partition and key goes to the partition that its place among such records of one `append` says.
#[derive(Debug, Clone)]
pub struct EmbeddedProducer(Arc<Shared>);

impl EmbeddedProducer {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }
}

impl EventProducer for EmbeddedProducer {
    type Error = StoreError;

    async fn append(&mut self, records: Vec<NewRecord>) -> Result<(), StoreError> {
        let prepared = append::prepare(&self.0, records).await?;
        let mut txn = self.0.db.begin().await?;
        let written = append::write(&self.0, &mut txn, prepared).await;
        txn.finish(written).await?.publish();
        Ok(())
    }

    async fn partitions(&mut self, topic: &str) -> Result<u32, StoreError> {
        let topic = self.0.topics.get(&self.0.db, topic).await?;
        Ok(u32::try_from(topic.partitions.len()).unwrap_or(u32::MAX))
    }

    async fn last_records(&mut self, topic: &str) -> Result<Vec<Record>, StoreError> {
        let db = &self.0.db;
        let topic = self.0.topics.get(db, topic).await?;
        let sql = "SELECT p.partition, b.base_offset, b.blob FROM partitions p \
                   JOIN batches b ON b.partition_id = p.id AND b.next_offset = p.next_offset \
                   WHERE p.topic_id = ? ORDER BY p.partition";
        let rows = sqlx::query(sql).bind(topic.id).fetch_all(db.readers()).await.map_err(|source| db.error(source))?;
        let mut records = Vec::with_capacity(rows.len());
        for row in rows {
            let base = row.get::<i64, _>(1).cast_unsigned();
            let last = Decoder::new(row.get(2), base).and_then(|decoder| decoder.last().transpose());
            let last = last.map_err(|error| StoreError::damaged_batch(db.path(), &topic.name, row.get(0), base, error));
            records.extend(last?);
        }
        Ok(records)
    }
}
