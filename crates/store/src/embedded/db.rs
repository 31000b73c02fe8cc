//! The connections: one that writes, a few that read.

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, SqliteConnection};
use tokio::sync::{Mutex, MutexGuard};

use crate::error::StoreError;

/// The file's connections.
#[derive(Debug)]
pub(super) struct Db {
    path: PathBuf,
    options: SqliteConnectOptions,
    writer: Mutex<Writer>,
    readers: SqlitePool,
}

/// The writing connection.
#[derive(Debug)]
enum Writer {
    /// Ready.
    Idle(SqliteConnection),
    /// Lost with a failed or abandoned transaction: the next one connects anew.
    Lost,
    /// Never again.
    Closed,
}

/// A write transaction. Dropped before [`finish`](Self::finish), it takes its connection with it, and SQLite rolls back.
#[derive(Debug)]
pub(super) struct Txn<'a> {
    db: &'a Db,
    slot: MutexGuard<'a, Writer>,
    conn: SqliteConnection,
}

impl Db {
    /// Takes over opened connections.
    pub(super) fn new(
        path: &Path,
        options: SqliteConnectOptions,
        writer: SqliteConnection,
        readers: SqlitePool,
    ) -> Self {
        Self { path: path.to_owned(), options, writer: Mutex::new(Writer::Idle(writer)), readers }
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The connections that read.
    pub(super) fn readers(&self) -> &SqlitePool {
        &self.readers
    }

    /// What an error of SQLite on this file means.
    pub(super) fn error(&self, source: sqlx::Error) -> StoreError {
        StoreError::of(&self.path, source)
    }

    /// Begins a write transaction, once those asked for before are done.
    pub(super) async fn begin(&self) -> Result<Txn<'_>, StoreError> {
        let (slot, mut conn) = self.take().await?;
        match conn.execute("BEGIN IMMEDIATE").await {
            Ok(_) => Ok(Txn { db: self, slot, conn }),
            Err(source) => Err(self.error(source)),
        }
    }

    /// Runs a statement that cannot run inside a transaction.
    pub(super) async fn execute(&self, sql: &'static str) -> Result<(), StoreError> {
        let (mut slot, mut conn) = self.take().await?;
        conn.execute(sql).await.map_err(|source| self.error(source))?;
        *slot = Writer::Idle(conn);
        Ok(())
    }

    async fn take(&self) -> Result<(MutexGuard<'_, Writer>, SqliteConnection), StoreError> {
        let mut slot = self.writer.lock().await;
        let conn = match std::mem::replace(&mut *slot, Writer::Lost) {
            Writer::Idle(conn) => conn,
            Writer::Lost => self.options.connect().await.map_err(|source| self.error(source))?,
            Writer::Closed => {
                *slot = Writer::Closed;
                return Err(StoreError::Closed);
            }
        };
        Ok((slot, conn))
    }

    /// Closes all connections; the last one folds the write-ahead log into the file.
    pub(super) async fn close(&self) {
        let mut slot = self.writer.lock().await;
        self.readers.close().await;
        if let Writer::Idle(conn) = std::mem::replace(&mut *slot, Writer::Closed)
            && let Err(error) = conn.close().await
        {
            tracing::warn!(%error, path = %self.path.display(), "the file was not closed cleanly");
        }
    }
}

impl Txn<'_> {
    /// The connection, to run statements on.
    pub(super) fn conn(&mut self) -> &mut SqliteConnection {
        &mut self.conn
    }

    /// What an error of SQLite means.
    pub(super) fn error(&self, source: sqlx::Error) -> StoreError {
        self.db.error(source)
    }

    /// Commits where `result` is good, else rolls back.
    pub(super) async fn finish<T>(self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        let Self { db, mut slot, mut conn } = self;
        let end = if result.is_ok() { "COMMIT" } else { "ROLLBACK" };
        match conn.execute(end).await {
            Ok(_) => *slot = Writer::Idle(conn),
            // A failed statement may have rolled back already; dropping the connection makes sure of it.
            Err(_) if result.is_err() => {}
            Err(source) => return Err(db.error(source)),
        }
        result
    }
}
