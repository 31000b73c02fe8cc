//! Everything in one SQLite file.

mod anomalies;
mod append;
mod committer;
mod db;
mod fetch;
mod open;
mod producer;
mod query;
mod reader;
mod reading;
mod retain;
mod source;
mod state;
mod topics;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use pulse_core::ports::Clock;

use crate::error::{OpenError, StoreError};

use db::Db;
use topics::Topics;

pub use anomalies::EmbeddedAnomalyStore;
pub use committer::EmbeddedCommitter;
pub use producer::EmbeddedProducer;
pub use query::EmbeddedQuery;
pub use reader::EmbeddedReader;
pub use retain::{Retained, Retention};
pub use source::EmbeddedSource;

/// One SQLite file that holds the event log, the positions of groups, state, and anomalies.
///
/// Clones share the connections. Several processes may open one file; each consumer group belongs to one of them.
#[derive(Debug, Clone)]
pub struct EmbeddedStore(Arc<Shared>);

/// What all handles of a store share.
struct Shared {
    db: Db,
    topics: Topics,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("path", &self.db.path()).finish_non_exhaustive()
    }
}

impl EmbeddedStore {
    /// Opens the file at `path`; makes it, and its folder, where there is none.
    ///
    /// # Errors
    /// When the file cannot be made or written, is damaged, is locked, or is not a file of this version.
    pub async fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let db = open::open(path).await?;
        Ok(Self(Arc::new(Shared { db, topics: Topics::default(), clock })))
    }

    /// Makes `topic` with `partitions` partitions, unless it is there already.
    ///
    /// # Errors
    /// When it exists with another number of partitions, or the file cannot be written.
    pub async fn create_topic(&self, topic: &str, partitions: u32) -> Result<(), StoreError> {
        self.0.topics.create(&self.0.db, topic, partitions).await
    }

    /// Writes events into the log.
    #[must_use]
    pub fn producer(&self) -> EmbeddedProducer {
        EmbeddedProducer::new(self.0.clone())
    }

    /// Reads `topic` as the member of `group`. The newest one has all partitions; it fences those before it.
    #[must_use]
    pub fn source(&self, group: &str, topic: &str) -> EmbeddedSource {
        EmbeddedSource::new(self.0.clone(), group, topic)
    }

    /// Reads `topic`, which has to exist, from its beginning, beside all groups.
    #[must_use]
    pub fn reader(&self, topic: &str) -> EmbeddedReader {
        EmbeddedReader::new(self.0.clone(), topic)
    }

    /// Commits for `group` what came of reading `topic`; its state stands under the name `state_topic`.
    #[must_use]
    pub fn committer(&self, group: &str, topic: &str, state_topic: &str) -> EmbeddedCommitter {
        EmbeddedCommitter::new(self.0.clone(), group, topic, state_topic)
    }

    /// Stores anomalies.
    #[must_use]
    pub fn anomaly_store(&self) -> EmbeddedAnomalyStore {
        EmbeddedAnomalyStore::new(self.0.clone())
    }

    /// Reads anomalies.
    #[must_use]
    pub fn query(&self) -> EmbeddedQuery {
        EmbeddedQuery::new(self.0.clone())
    }

    /// Drops what `policy` no longer wants, in small steps that let writers in between.
    ///
    /// # Errors
    /// When the file cannot be written; what was dropped before that stays dropped.
    pub async fn retain(&self, policy: Retention) -> Result<Retained, StoreError> {
        retain::retain(&self.0, policy).await
    }

    /// Closes the file for all clones, once what is under way is done.
    pub async fn close(self) {
        self.0.db.close().await;
    }
}
