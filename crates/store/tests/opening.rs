//! What opening a file says about it.

use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::Arc;

use pulse_core::ports::EventProducer as _;
use pulse_core::{Classify as _, ErrorClass};
use pulse_store::{EmbeddedStore, OpenError, StoreError};
use pulse_testkit::{FixedClock, TempStore, record};
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;

async fn open(path: &Path) -> Result<EmbeddedStore, OpenError> {
    EmbeddedStore::open(path, Arc::new(FixedClock::default())).await
}

/// Runs `sql` behind the store's back.
async fn tamper(path: &Path, sql: &'static str) -> anyhow::Result<()> {
    let mut conn = SqliteConnectOptions::new().filename(path).create_if_missing(true).connect().await?;
    sqlx::raw_sql(sql).execute(&mut conn).await?;
    sqlx::Connection::close(conn).await?;
    Ok(())
}

async fn filled(path: &Path) -> anyhow::Result<()> {
    let store = open(path).await?;
    store.create_topic("events", 1).await?;
    let records = (0..20_000).map(|i| record("events", 0, &format!("{{\"fare\": {i}}}")));
    store.producer().append(records.collect()).await?;
    store.close().await;
    Ok(())
}

#[tokio::test]
async fn the_folder_is_made() -> anyhow::Result<()> {
    let place = TempStore::new()?;
    let file = place.folder().join("a/b/pulse.db");
    open(&file).await?.close().await;
    assert!(file.exists());
    Ok(())
}

#[tokio::test]
async fn text_is_no_store() -> anyhow::Result<()> {
    let place = TempStore::new()?;
    std::fs::write(place.file(), "this is no database\n".repeat(1000))?;
    let error = open(place.file()).await.unwrap_err();
    assert!(matches!(error, OpenError::Store(StoreError::Damaged { .. })), "{error:?}");
    assert!(error.to_string().contains("pulse.db") && error.to_string().contains("move it away"), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_damaged_page_is_noticed() -> anyhow::Result<()> {
    let place = TempStore::new()?;
    filled(place.file()).await?;
    let mut file = std::fs::OpenOptions::new().write(true).open(place.file())?;
    for page in 2..20 {
        file.seek(SeekFrom::Start(page * 8192))?;
        file.write_all(&[0x5a; 512])?;
    }
    drop(file);
    let error = open(place.file()).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Fatal);
    assert!(matches!(error, OpenError::Store(StoreError::Damaged { .. })), "{error:?}");
    Ok(())
}

#[tokio::test]
async fn a_damaged_batch_is_noticed() -> anyhow::Result<()> {
    let place = TempStore::new()?;
    filled(place.file()).await?;
    tamper(place.file(), "UPDATE batches SET blob = zeroblob(length(blob))").await?;
    let error = open(place.file()).await.unwrap_err();
    assert!(error.to_string().contains("partition 0 of \"events\""), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_named() -> anyhow::Result<()> {
    let place = TempStore::new()?;
    filled(place.file()).await?;
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 VALUES (9999, 'later', 1, x'00', 1)";
    tamper(place.file(), newer).await?;
    let error = open(place.file()).await.unwrap_err();
    assert!(matches!(error, OpenError::NewerSchema { found: 9999, .. }), "{error:?}");
    Ok(())
}

#[tokio::test]
async fn another_programs_database_is_left_alone() -> anyhow::Result<()> {
    let place = TempStore::new()?;
    tamper(place.file(), "CREATE TABLE letters (id INTEGER)").await?;
    let error = open(place.file()).await.unwrap_err();
    assert!(matches!(error, OpenError::Foreign { .. }), "{error:?}");
    Ok(())
}

#[tokio::test]
async fn a_folder_in_its_place_is_named() -> anyhow::Result<()> {
    let place = TempStore::new()?;
    std::fs::create_dir(place.file())?;
    let error = open(place.file()).await.unwrap_err();
    assert!(matches!(error, OpenError::Store(StoreError::NotWritable { .. })), "{error:?}");
    Ok(())
}

#[tokio::test]
async fn a_locked_file_is_a_reason_to_wait() -> anyhow::Result<()> {
    let place = TempStore::new()?;
    filled(place.file()).await?;
    let mut other = SqliteConnectOptions::new().filename(place.file()).connect().await?;
    sqlx::raw_sql("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; CREATE TABLE x (y)").execute(&mut other).await?;
    let error = open(place.file()).await.unwrap_err();
    assert!(matches!(error, OpenError::Store(StoreError::Locked { .. })), "{error:?}");
    assert_eq!(error.class(), ErrorClass::Retry);
    Ok(())
}
