//! Which topics there are, and where their partitions end.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use sqlx::Row as _;
use tokio::sync::watch;

use crate::error::StoreError;

use super::db::{Db, Txn};

/// The topics met so far. Topics are never removed, nor is their number of partitions changed.
#[derive(Debug, Default)]
pub(super) struct Topics(RwLock<HashMap<Arc<str>, Arc<Topic>>>);

/// A topic.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) id: i64,
    pub(super) name: Arc<str>,
    pub(super) partitions: Vec<Partition>,
    news: watch::Sender<()>,
}

/// A partition of a topic.
#[derive(Debug)]
pub(super) struct Partition {
    pub(super) id: i64,
    end: AtomicU64,
}

impl Partition {
    /// The offset that the next record will get, as far as this process knows.
    pub(super) fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    /// Ends only rise, so learning of them late does no harm. Says whether this was news.
    pub(super) fn rise(&self, end: u64) -> bool {
        self.end.fetch_max(end, Ordering::AcqRel) < end
    }
}

impl Topic {
    /// Fires whenever something was appended by this process.
    pub(super) fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    /// Wakes those who wait for news.
    pub(super) fn announce(&self) {
        self.news.send_replace(());
    }

    /// Partition `number`.
    pub(super) fn partition(&self, number: u32) -> Result<&Partition, StoreError> {
        let found = usize::try_from(number).ok().and_then(|number| self.partitions.get(number));
        found.ok_or_else(|| StoreError::NoSuchPartition { topic: self.name.to_string(), partition: number })
    }
}

impl Topics {
    /// The topic called `name`.
    pub(super) async fn get(&self, db: &Db, name: &str) -> Result<Arc<Topic>, StoreError> {
        if let Some(topic) = self.known(name) {
            return Ok(topic);
        }
        let sql = "SELECT t.id, p.id, p.next_offset FROM topics t JOIN partitions p ON p.topic_id = t.id \
                   WHERE t.name = ? ORDER BY p.partition";
        let rows = sqlx::query(sql).bind(name).fetch_all(db.readers()).await.map_err(|source| db.error(source))?;
        let Some(first) = rows.first() else {
            return Err(StoreError::UnknownTopic { topic: name.to_owned() });
        };
        let id = first.get(0);
        let partitions = rows.iter().map(|row| {
            let end = AtomicU64::new(row.get::<i64, _>(2).cast_unsigned());
            Partition { id: row.get(1), end }
        });
        let name: Arc<str> = Arc::from(name);
        let topic = Topic { id, name: name.clone(), partitions: partitions.collect(), news: watch::Sender::new(()) };
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        // Somebody may have been faster: all must share one topic, or news would be missed.
        Ok(known.entry(name).or_insert_with(|| Arc::new(topic)).clone())
    }

    fn known(&self, name: &str) -> Option<Arc<Topic>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Makes the topic called `name`, unless it is there already.
    pub(super) async fn create(&self, db: &Db, name: &str, partitions: u32) -> Result<(), StoreError> {
        let mut txn = db.begin().await?;
        let made = create_in(&mut txn, name, partitions).await;
        txn.finish(made).await
    }
}

async fn create_in(txn: &mut Txn<'_>, name: &str, partitions: u32) -> Result<(), StoreError> {
    let sql = "SELECT partitions FROM topics WHERE name = ?";
    let existing = sqlx::query_scalar(sql).bind(name).fetch_optional(txn.conn()).await;
    if let Some(existing) = existing.map_err(|source| txn.error(source))? {
        if existing == partitions {
            return Ok(());
        }
        return Err(StoreError::PartitionCount { topic: name.to_owned(), existing, wanted: partitions });
    }
    let sql = "INSERT INTO topics (name, partitions) VALUES (?, ?) RETURNING id";
    let id: Result<i64, _> = sqlx::query_scalar(sql).bind(name).bind(partitions).fetch_one(txn.conn()).await;
    let id = id.map_err(|source| txn.error(source))?;
    let sql = "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?) \
               INSERT INTO partitions (topic_id, partition) SELECT ?, i FROM n";
    let made = sqlx::query(sql).bind(partitions).bind(id).execute(txn.conn()).await;
    made.map(|_| ()).map_err(|source| txn.error(source))
}
