//! Connecting: options, one trial, and a look at whether the server will do.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use sqlx::{ConnectOptions as _, Connection as _, PgConnection};
use tokio::time::timeout;

use super::db::{Db, STATEMENT_TIMEOUT, Target};
use super::error::PostgresError;
use super::settings::{PostgresSettings, PostgresTls};

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The first version that has `date_bin`.
const FIRST_VERSION: i32 = 140_000;

/// Connects once, and prepares the pool.
pub(super) async fn connect(settings: &PostgresSettings) -> Result<Db, PostgresError> {
    let server = if settings.host.starts_with('/') {
        settings.host.clone()
    } else {
        format!("{}:{}", settings.host, settings.port)
    };
    let target = Target { server, database: settings.database.clone(), user: settings.user.clone() };
    let options = options(settings)?;
    let pool = PgPoolOptions::new()
        .max_connections(settings.max_connections)
        .acquire_timeout(CONNECT_TIMEOUT)
        .connect_lazy_with(options.clone());
    let db = Db { pool, options, target };
    let mut conn = db.dedicated().await?;
    let checked = check(&db, &mut conn).await;
    // Nothing is lost with a connection that does not close cleanly.
    drop(conn.close().await);
    checked.map(|()| db)
}

impl Db {
    /// A connection that is not of the pool: what it holds, it gives back when it closes.
    pub(super) async fn dedicated(&self) -> Result<PgConnection, PostgresError> {
        match timeout(CONNECT_TIMEOUT, self.options.connect()).await {
            Ok(conn) => conn.map_err(|source| self.target.error(source)),
            Err(_) => Err(PostgresError::Silent { server: self.target.server.clone(), limit: CONNECT_TIMEOUT }),
        }
    }
}

fn options(settings: &PostgresSettings) -> Result<PgConnectOptions, PostgresError> {
    let mode = match settings.tls {
        PostgresTls::Disable => PgSslMode::Disable,
        PostgresTls::Prefer => PgSslMode::Prefer,
        PostgresTls::Require => PgSslMode::Require,
        PostgresTls::VerifyCa => PgSslMode::VerifyCa,
        PostgresTls::VerifyFull => PgSslMode::VerifyFull,
    };
    if !cfg!(feature = "postgres-tls") && !matches!(settings.tls, PostgresTls::Disable | PostgresTls::Prefer) {
        return Err(PostgresError::NoTls);
    }
    let statement_timeout = format!("{}s", STATEMENT_TIMEOUT.as_secs());
    let mut options = PgConnectOptions::new_without_pgpass()
        .host(&settings.host)
        .port(settings.port)
        .database(&settings.database)
        .username(&settings.user)
        .application_name(&settings.application)
        .ssl_mode(mode)
        .options([
            ("statement_timeout", statement_timeout.as_str()),
            // A client whose machine is gone must not hold its locks, which others wait for.
            ("idle_in_transaction_session_timeout", &statement_timeout),
            ("tcp_keepalives_idle", "10"),
            ("tcp_keepalives_interval", "5"),
            ("tcp_keepalives_count", "4"),
        ]);
    if let Some(password) = &settings.password {
        options = options.password(password);
    }
    if let Some(path) = &settings.tls_ca {
        options = options.ssl_root_cert(path);
    }
    Ok(options)
}

/// Whether the server can do what is needed, so that it does not show later, in the middle of the work.
async fn check(db: &Db, conn: &mut PgConnection) -> Result<(), PostgresError> {
    let sql = "SELECT current_setting('server_version_num')::integer, current_setting('server_version'), \
               current_setting('server_encoding')";
    let (number, version, encoding): (i32, String, String) = db.answer(sqlx::query_as(sql).fetch_one(conn)).await?;
    let unfit = |reason| PostgresError::Unfit { server: db.target.server.clone(), reason };
    if number < FIRST_VERSION {
        return Err(unfit(format!("version 14 or newer is needed, and it is {version}")));
    }
    if encoding != "UTF8" {
        let database = &db.target.database;
        return Err(unfit(format!(
            "the database {database:?} holds {encoding} text: make one with createdb --encoding=UTF8 --template=template0"
        )));
    }
    Ok(())
}
