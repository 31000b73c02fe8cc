//! Anomalies in Postgres, for services that run apart.

mod anomalies;
mod connect;
mod db;
mod error;
mod insert;
mod migrate;
mod partitions;
mod query;
mod retain;
mod settings;
mod time;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use pulse_core::ports::Clock;

use db::Db;

pub use anomalies::PostgresAnomalyStore;
pub use error::PostgresError;
pub use query::PostgresQuery;
pub use retain::PostgresRetained;
pub use settings::{PostgresSettings, PostgresTls, UnknownTls};

/// A Postgres database that holds anomalies, and where the writer goes on.
///
/// Clones share the connections. Any number of processes may share the database.
#[derive(Clone)]
pub struct PostgresStore {
    db: Arc<Db>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").field("target", &self.db.target).finish_non_exhaustive()
    }
}

impl PostgresStore {
    /// Connects once, to find out whether that works; later connections are made when they are needed, also after the
    /// server was away.
    ///
    /// # Errors
    /// When the server cannot be reached, which passes ([`Retry`](pulse_core::ErrorClass::Retry)); or refuses the role, the
    /// password or the database, or is too old, which needs a person.
    pub async fn connect(settings: &PostgresSettings, clock: Arc<dyn Clock>) -> Result<Self, PostgresError> {
        Ok(Self { db: Arc::new(connect::connect(settings).await?), clock })
    }

    /// Brings the tables up to date. Several processes may do so at once; where nothing is to be done, the right to read
    /// is enough.
    ///
    /// # Errors
    /// When the tables are those of a newer version, or may not be made.
    pub async fn migrate(&self) -> Result<(), PostgresError> {
        migrate::migrate(&self.db).await
    }

    /// Stores anomalies.
    #[must_use]
    pub fn anomaly_store(&self) -> PostgresAnomalyStore {
        PostgresAnomalyStore::new(self.clone())
    }

    /// Reads anomalies.
    #[must_use]
    pub fn query(&self) -> PostgresQuery {
        PostgresQuery::new(self.db.clone())
    }

    /// Drops anomalies that were detected longer ago than `max_age`, however old their events are. Does nothing where
    /// another process is about it.
    ///
    /// # Errors
    /// When the database fails; what was dropped before that stays dropped.
    pub async fn retain(&self, max_age: Duration) -> Result<PostgresRetained, PostgresError> {
        retain::retain(&self.db, self.clock.now(), max_age).await
    }

    /// Closes all connections, for all clones, once what is under way is done.
    pub async fn close(self) {
        self.db.pool.close().await;
    }
}
