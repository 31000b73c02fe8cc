//! The connections, and what their errors mean.

use std::future::Future;
use std::time::Duration;

use sqlx::Postgres;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPool};
use tokio::time::timeout;

use super::error::PostgresError;

/// How long the server works on one statement before it gives up.
pub(super) const STATEMENT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long an answer is waited for: a server whose machine is gone says nothing at all.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(40);

/// A database and who we are there.
#[derive(Debug)]
pub(super) struct Db {
    pub(super) pool: PgPool,
    pub(super) options: PgConnectOptions,
    pub(super) target: Target,
}

/// What errors name.
#[derive(Debug)]
pub(super) struct Target {
    /// Host and port.
    pub(super) server: String,
    pub(super) database: String,
    pub(super) user: String,
}

impl Db {
    /// A connection of the pool.
    pub(super) async fn acquire(&self) -> Result<PoolConnection<Postgres>, PostgresError> {
        self.pool.acquire().await.map_err(|source| self.target.error(source))
    }

    /// Waits for an answer, but not without end, and says what an error means.
    pub(super) async fn answer<T>(
        &self,
        call: impl Future<Output = Result<T, sqlx::Error>> + Send,
    ) -> Result<T, PostgresError> {
        self.answer_within(ANSWER_TIMEOUT, call).await
    }

    /// As [`answer`](Self::answer), for a statement that may take until `limit`.
    pub(super) async fn answer_within<T>(
        &self,
        limit: Duration,
        call: impl Future<Output = Result<T, sqlx::Error>> + Send,
    ) -> Result<T, PostgresError> {
        match timeout(limit, call).await {
            Ok(result) => result.map_err(|source| self.target.error(source)),
            Err(_) => Err(PostgresError::Silent { server: self.target.server.clone(), limit }),
        }
    }
}

impl Target {
    /// What an error means. The codes are those of <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
    pub(super) fn error(&self, source: sqlx::Error) -> PostgresError {
        let server = self.server.clone();
        match &source {
            sqlx::Error::Database(error) => {
                let code = error.code().unwrap_or_default().into_owned();
                self.refused(&code, source)
            }
            sqlx::Error::PoolClosed => PostgresError::Closed,
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => {
                PostgresError::Away { server, source }
            }
            sqlx::Error::Tls(_) | sqlx::Error::Configuration(_) => PostgresError::Tls { server, source },
            _ => PostgresError::Database { server, source },
        }
    }

    /// What the server's code means. Its first two characters are the class.
    fn refused(&self, code: &str, source: sqlx::Error) -> PostgresError {
        let Self { server, database, user } = self;
        let (server, database, user) = (server.clone(), database.clone(), user.clone());
        match (code.get(..2).unwrap_or_default(), code) {
            (_, "53100") => PostgresError::DiskFull { server, source },
            (_, "25006") => PostgresError::ReadOnly { server, source },
            (_, "57014" | "55P03" | "55006" | "53200" | "53400" | "25P03") | ("40", _) => {
                PostgresError::Busy { server, source }
            }
            ("08" | "53" | "57" | "58", _) => PostgresError::Away { server, source },
            ("28", _) => PostgresError::Login { server, user, source },
            (_, "3D000") => PostgresError::NoDatabase { server, database, user, source },
            (_, "42501") => PostgresError::Forbidden { server, database, user, source },
            (_, "42P01" | "42703" | "3F000") => PostgresError::NoTables { server, database, source },
            // A value that the server does not understand, or that is too large or too deep for it.
            ("22" | "54", _) => PostgresError::Unstorable { item: "a row".to_owned(), reason: said(&source) },
            _ => PostgresError::Database { server, source },
        }
    }
}

/// What the server says, without the words that sqlx puts around it.
fn said(source: &sqlx::Error) -> String {
    source.as_database_error().map_or_else(|| source.to_string(), |error| error.message().to_owned())
}
