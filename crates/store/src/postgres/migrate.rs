//! Bringing the tables up to date.

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{Connection as _, PgConnection};

use super::db::Db;
use super::error::PostgresError;

static MIGRATIONS: Migrator = sqlx::migrate!("../../postgres/migrations");

/// Brings the tables up to date. The migrator holds a lock of the database meanwhile: a second process waits for it, and
/// then finds nothing left to do.
pub(super) async fn migrate(db: &Db) -> Result<(), PostgresError> {
    let mut conn = db.dedicated().await?;
    let migrated = on(db, &mut conn).await;
    // It frees the lock also where the migrator has failed with it.
    drop(conn.close().await);
    migrated
}

async fn on(db: &Db, conn: &mut PgConnection) -> Result<(), PostgresError> {
    let known = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0);
    let found = version(db, conn).await?;
    if found > known {
        return Err(PostgresError::NewerSchema { database: db.target.database.clone(), found, known });
    }
    if found == known {
        return Ok(());
    }
    tracing::info!(from = found, to = known, database = db.target.database, "bringing the tables up to date");
    MIGRATIONS.run_direct(None, conn, false).await.map_err(|source| match source {
        MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _) => db.target.error(source),
        source => PostgresError::Migration { database: db.target.database.clone(), source },
    })
}

/// The version of the tables; 0 where there are none.
async fn version(db: &Db, conn: &mut PgConnection) -> Result<i64, PostgresError> {
    let exists = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL").fetch_one(&mut *conn);
    if !db.answer(exists).await? {
        return Ok(0);
    }
    let version = sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM _sqlx_migrations WHERE success");
    db.answer(version.fetch_one(conn)).await
}
