//! Opening the file: settings, schema, and a check that costs little.

use std::path::Path;
use std::time::Duration;

use sqlx::migrate::{Migrate as _, MigrateError, Migrator};
use sqlx::sqlite::{SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions};
use sqlx::sqlite::{SqliteRow, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, Row as _, SqliteConnection};

use crate::codec::Decoder;
use crate::error::{OpenError, StoreError};

use super::db::Db;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// `PRAGMA application_id` of our files: "PULS".
const APPLICATION_ID: i32 = 0x5055_4c53;
/// Up to this many bytes the whole file is checked when opened.
const CHECK_WHOLE_FILE: i64 = 32 << 20;
const READERS: u32 = 4;

/// Opens the file at `path`, and makes it where there is none.
pub(super) async fn open(path: &Path) -> Result<Db, OpenError> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        let made = tokio::fs::create_dir_all(folder).await;
        made.map_err(|source| OpenError::Folder { path: folder.to_owned(), source })?;
    }
    let options = options(path);
    let failed = |source| StoreError::of(path, source);
    let mut writer = options.connect().await.map_err(failed)?;
    check_owner(path, &mut writer).await?;
    migrate(path, &mut writer).await?;
    check(path, &mut writer).await?;
    let readers = readers(&options).await.map_err(failed)?;
    Ok(Db::new(path, options, writer, readers))
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .page_size(8192)
        .auto_vacuum(SqliteAutoVacuum::Incremental)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(Duration::from_secs(5))
        .foreign_keys(false)
        // Negative: KiB. A larger cache gains little, as the operating system caches the file as well.
        .pragma("cache_size", "-16384")
        .pragma("temp_store", "MEMORY")
        // Pages: the write-ahead log is folded in at about 16 MiB, so that a reader of it stays fast.
        .pragma("wal_autocheckpoint", "2000")
        .pragma("journal_size_limit", "67108864")
        .statement_cache_capacity(256)
        .thread_name(|_| "pulse-sqlite".to_owned())
}

async fn readers(options: &SqliteConnectOptions) -> Result<SqlitePool, sqlx::Error> {
    SqlitePoolOptions::new()
        .max_connections(READERS)
        .min_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .acquire_timeout(Duration::from_secs(10))
        .connect_with(options.clone().create_if_missing(false).pragma("query_only", "ON"))
        .await
}

/// Marks a new file as ours, and refuses another program's.
async fn check_owner(path: &Path, conn: &mut SqliteConnection) -> Result<(), OpenError> {
    let failed = |source| StoreError::of(path, source);
    let id: i32 = sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut *conn).await.map_err(failed)?;
    if id == APPLICATION_ID {
        return Ok(());
    }
    let tables = "SELECT count(*) FROM sqlite_schema";
    let tables: i64 = sqlx::query_scalar(tables).fetch_one(&mut *conn).await.map_err(failed)?;
    if id != 0 || tables != 0 {
        return Err(OpenError::Foreign { path: path.to_owned() });
    }
    // 0x50554c53, as pragmas take no parameters.
    sqlx::query("PRAGMA application_id = 1347767379").execute(conn).await.map_err(failed)?;
    Ok(())
}

async fn migrate(path: &Path, conn: &mut SqliteConnection) -> Result<(), OpenError> {
    conn.ensure_migrations_table("_sqlx_migrations").await.map_err(|source| migration_failed(path, source))?;
    let known = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0);
    let found = "SELECT coalesce(max(version), 0) FROM _sqlx_migrations";
    let found: i64 =
        sqlx::query_scalar(found).fetch_one(&mut *conn).await.map_err(|source| StoreError::of(path, source))?;
    if found > known {
        return Err(OpenError::NewerSchema { path: path.to_owned(), found, known });
    }
    // Two processes may open a new file at the same moment: the second one waits here, and then finds nothing left to do.
    let mut txn = conn.begin_with("BEGIN IMMEDIATE").await.map_err(|source| StoreError::of(path, source))?;
    let migrated = MIGRATIONS.run_direct(None, &mut *txn, false).await;
    migrated.map_err(|source| migration_failed(path, source))?;
    txn.commit().await.map_err(|source| StoreError::of(path, source).into())
}

fn migration_failed(path: &Path, source: MigrateError) -> OpenError {
    match source {
        MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _) => {
            StoreError::of(path, source).into()
        }
        source => OpenError::Migration { path: path.to_owned(), source },
    }
}

/// Reads a small file through; of a large one the schema, which opening has read already, and the last batch of every
/// partition, where an unclean end would show.
async fn check(path: &Path, conn: &mut SqliteConnection) -> Result<(), StoreError> {
    let failed = |source| StoreError::of(path, source);
    let size = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()";
    let size: i64 = sqlx::query_scalar(size).fetch_one(&mut *conn).await.map_err(failed)?;
    if size <= CHECK_WHOLE_FILE {
        let found: String = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&mut *conn).await.map_err(failed)?;
        if found != "ok" {
            return Err(StoreError::Damaged { path: path.to_owned(), reason: found });
        }
    }
    let last = "SELECT t.name, p.partition, b.base_offset, b.blob FROM partitions p \
                JOIN topics t ON t.id = p.topic_id \
                JOIN batches b ON b.partition_id = p.id AND b.next_offset = p.next_offset";
    let rows: Vec<SqliteRow> = sqlx::query(last).fetch_all(&mut *conn).await.map_err(failed)?;
    for row in rows {
        let (topic, partition): (String, u32) = (row.get(0), row.get(1));
        let base = row.get::<i64, _>(2).cast_unsigned();
        if let Err(error) = Decoder::new(row.get(3), base) {
            return Err(StoreError::damaged_batch(path, &topic, partition, base, error));
        }
    }
    Ok(())
}
