//! The [`Committer`] of the log: outputs, state and positions in one transaction.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pulse_core::ports::{Commit, Committer, Restored, StateRecord};
use sqlx::Row as _;

use crate::error::StoreError;

use super::db::Txn;
use super::{Shared, append, state};

/// Commits for one group what came of reading one topic.
///
/// [`restore`](Committer::restore) raises the epoch of a partition in the file; only who raised it last may commit.
#[derive(Debug)]
pub struct EmbeddedCommitter {
    shared: Arc<Shared>,
    group: Arc<str>,
    topic: Arc<str>,
    state_topic: Arc<str>,
    /// The partitions that were restored.
    held: Mutex<HashMap<u32, Held>>,
}

/// A partition that was restored.
#[derive(Debug, Clone, Copy)]
struct Held {
    epoch: i64,
    state_topic_id: i64,
}

impl EmbeddedCommitter {
    pub(super) fn new(shared: Arc<Shared>, group: &str, topic: &str, state_topic: &str) -> Self {
        Self {
            shared,
            group: Arc::from(group),
            topic: Arc::from(topic),
            state_topic: Arc::from(state_topic),
            held: Mutex::default(),
        }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<u32, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Raises the epoch of `partition`; gives the committed offset, too.
    async fn take_over(&self, txn: &mut Txn<'_>, partition: u32) -> Result<(Held, Option<i64>), StoreError> {
        let sql = "INSERT INTO positions (group_name, topic, partition, epoch) VALUES (?, ?, ?, 1) \
                   ON CONFLICT DO UPDATE SET epoch = epoch + 1 RETURNING epoch, next_offset";
        let query = sqlx::query(sql).bind(&*self.group).bind(&*self.topic).bind(partition);
        let row = query.fetch_one(txn.conn()).await.map_err(|source| txn.error(source))?;
        let state_topic_id = state::topic_id(txn, &self.state_topic).await?;
        Ok((Held { epoch: row.get(0), state_topic_id }, row.get(1)))
    }

    async fn write(&self, txn: &mut Txn<'_>, prepared: Changes) -> Result<append::Appended, StoreError> {
        self.advance(txn, &prepared.positions).await?;
        let appended = append::write(&self.shared, txn, prepared.outputs).await?;
        for (id, state) in prepared.state {
            state::write(txn, id, state).await?;
        }
        Ok(appended)
    }

    /// Moves the positions, or says why not.
    async fn advance(&self, txn: &mut Txn<'_>, positions: &BTreeMap<u32, (u64, i64)>) -> Result<(), StoreError> {
        let rows: Vec<[i64; 3]> = positions
            .iter()
            .map(|(&partition, &(next, epoch))| [i64::from(partition), next.cast_signed(), epoch])
            .collect();
        let sql = "UPDATE positions SET next_offset = n.value ->> 1 FROM json_each(?) AS n \
                   WHERE group_name = ? AND topic = ? AND partition = n.value ->> 0 AND epoch = n.value ->> 2 \
                   AND coalesce(next_offset, 0) <= n.value ->> 1";
        let query = sqlx::query(sql).bind(format!("{rows:?}")).bind(&*self.group).bind(&*self.topic);
        let moved = query.execute(txn.conn()).await.map_err(|source| txn.error(source))?;
        if moved.rows_affected() == rows.len() as u64 {
            return Ok(());
        }
        let sql = "SELECT partition, epoch, coalesce(next_offset, 0) FROM positions WHERE group_name = ? AND topic = ?";
        let query = sqlx::query(sql).bind(&*self.group).bind(&*self.topic);
        let standing = query.fetch_all(txn.conn()).await.map_err(|source| txn.error(source))?;
        for row in standing {
            let committed = row.get::<i64, _>(2).cast_unsigned();
            match positions.get(&row.get(0)) {
                Some(&(wanted, epoch)) if epoch == row.get::<i64, _>(1) && wanted < committed => {
                    return Err(self.backwards(row.get(0), committed, wanted));
                }
                _ => {}
            }
        }
        Err(StoreError::Fenced { group: self.group.to_string(), topic: self.topic.to_string() })
    }

    fn backwards(&self, partition: u32, committed: u64, wanted: u64) -> StoreError {
        let (group, topic) = (self.group.to_string(), self.topic.to_string());
        StoreError::Backwards { group, topic, partition, committed, wanted }
    }

    async fn take(&self, partition: u32) -> Result<Restored, StoreError> {
        let topic = self.shared.topics.get(&self.shared.db, &self.topic).await?;
        let id = topic.partition(partition)?.id;
        let mut txn = self.shared.db.begin().await?;
        let taken = self.take_over(&mut txn, partition).await;
        let (held, committed) = txn.finish(taken).await?;
        self.held().insert(partition, held);
        // Nobody else can change this state any more, so it is read without holding up other writers.
        let state = state::read(&self.shared.db, held.state_topic_id, partition).await?;
        let start = sqlx::query("SELECT start_offset FROM partitions WHERE id = ?").bind(id);
        let start = start.fetch_one(self.shared.db.readers()).await.map_err(|source| self.shared.db.error(source))?;
        let start = start.get::<i64, _>(0).cast_unsigned();
        Ok(Restored { committed: committed.map(i64::cast_unsigned), start, state })
    }

    /// Commits all of `commits`, or none.
    async fn commit_together(&self, commits: &[Commit]) -> Result<(), StoreError> {
        let changes = self.prepare(commits).await?;
        if changes.positions.is_empty() {
            return Ok(());
        }
        let mut txn = self.shared.db.begin().await?;
        let written = self.write(&mut txn, changes).await;
        txn.finish(written).await?.publish();
        Ok(())
    }

    /// Sorts `commits` by where they go.
    async fn prepare(&self, commits: &[Commit]) -> Result<Changes, StoreError> {
        let mut positions: BTreeMap<u32, (u64, i64)> = BTreeMap::new();
        let mut outputs = Vec::new();
        let mut state: BTreeMap<i64, Vec<(u32, StateRecord)>> = BTreeMap::new();
        for commit in commits {
            let partition = commit.partition;
            let held = self.held().get(&partition).copied();
            let Some(Held { epoch, state_topic_id }) = held else {
                let (group, topic) = (self.group.to_string(), self.topic.to_string());
                return Err(StoreError::NotRestored { group, topic, partition });
            };
            let (next, _) = positions.entry(partition).or_insert((commit.next_offset, epoch));
            if commit.next_offset < *next {
                return Err(self.backwards(partition, *next, commit.next_offset));
            }
            *next = commit.next_offset;
            outputs.extend_from_slice(&commit.outputs);
            let records = commit.state.iter().map(|record| (partition, record.clone()));
            state.entry(state_topic_id).or_default().extend(records);
        }
        let outputs = append::prepare(&self.shared, outputs).await?;
        Ok(Changes { positions, outputs, state })
    }
}

/// What a transaction changes.
#[derive(Debug)]
struct Changes {
    /// Next offset and epoch of each partition.
    positions: BTreeMap<u32, (u64, i64)>,
    outputs: append::Prepared,
    /// By the id of their topic, of which there is more than one only when it was made anew.
    state: BTreeMap<i64, Vec<(u32, StateRecord)>>,
}

impl Committer for EmbeddedCommitter {
    // One transaction of the file costs as much for one as for all.
    const TOGETHER: bool = true;
    type Error = StoreError;

    async fn restore(&self, partitions: &[u32], mut each: impl FnMut(u32, Result<Restored, StoreError>) + Send) {
        for &partition in partitions {
            each(partition, self.take(partition).await);
        }
    }

    async fn commit(&self, commits: &[Commit]) -> Vec<Result<(), StoreError>> {
        // One transaction costs least. Where it is refused, one for each shows whose fault that was.
        if commits.len() > 1 && self.commit_together(commits).await.is_ok() {
            return commits.iter().map(|_| Ok(())).collect();
        }
        let mut results = Vec::with_capacity(commits.len());
        for commit in commits {
            results.push(self.commit_together(std::slice::from_ref(commit)).await);
        }
        results
    }

    fn hand_over(&self, _: &[u32]) {
        // Nothing is ever taken over anew for a commit.
    }

    fn release(&self, partitions: &[u32]) {
        self.held().retain(|partition, _| !partitions.contains(partition));
    }
}
