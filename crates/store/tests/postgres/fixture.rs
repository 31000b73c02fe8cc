//! A store in a database of its own.

use std::sync::Arc;

use pulse_core::Anomaly;
use pulse_core::ports::{AnomalyStore as _, Applied, OffsetSpan};
use pulse_store::{PostgresError, PostgresSettings, PostgresStore};
use pulse_testkit::FixedClock;
use pulse_testkit::servers::postgres::TestDatabase;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

/// A database and a store of it.
pub(crate) struct Fixture {
    pub(crate) database: TestDatabase,
    pub(crate) store: PostgresStore,
    pub(crate) clock: Arc<FixedClock>,
}

impl Fixture {
    /// A new one, with its tables.
    pub(crate) async fn new() -> anyhow::Result<Self> {
        Self::at(TestDatabase::new()?).await
    }

    /// One in `database`.
    pub(crate) async fn at(database: TestDatabase) -> anyhow::Result<Self> {
        let clock = Arc::new(FixedClock::default());
        let store = PostgresStore::connect(&settings(&database), clock.clone()).await?;
        store.migrate().await?;
        Ok(Self { database, store, clock })
    }

    /// Stores `rows` at the end of partition 0.
    pub(crate) async fn add(&self, rows: &[Anomaly]) -> Result<Applied, PostgresError> {
        let mut store = self.store.anomaly_store();
        let from = store.positions("anomalies").await?.first().map_or(0, |(_, end)| *end);
        store.store(rows, &span(0, from, from + rows.len() as u64)).await
    }

    /// Somebody who reads `table` in a transaction, until dropped.
    pub(crate) async fn reader(&self, table: &str) -> anyhow::Result<PgConnection> {
        let mut conn = PgConnection::connect(&self.database.url()).await?;
        conn.execute(AssertSqlSafe(format!("BEGIN; SELECT FROM {table}"))).await?;
        Ok(conn)
    }

    /// The only value that `sql` answers.
    pub(crate) fn ask(&self, sql: &str) -> anyhow::Result<String> {
        self.database.psql(sql)
    }
}

/// How to reach a database.
pub(crate) fn settings(database: &TestDatabase) -> PostgresSettings {
    PostgresSettings {
        host: database.host.clone(),
        port: database.port,
        database: database.name.clone(),
        user: database.user.to_owned(),
        password: Some(database.password.to_owned()),
        ..PostgresSettings::default()
    }
}

/// A span of the topic `anomalies`.
pub(crate) fn span(partition: u32, from: u64, to: u64) -> OffsetSpan {
    OffsetSpan { topic: Arc::from("anomalies"), partition, from, to }
}
