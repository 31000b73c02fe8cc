//! A database for one test.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use anyhow::Context as _;
use tempfile::TempDir;

use super::{POSTGRES_ENV, PostgresPrograms, PostgresServer, run};

/// The role that the services run as, which owns the database.
const USER: &str = "anomaly_user";
const PASSWORD: &str = "of-a-test-role";

/// Makes the role, also where several tests do so at once.
const ROLE: &str = "DO $$ BEGIN CREATE ROLE anomaly_user LOGIN PASSWORD 'of-a-test-role'; \
                    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$";

/// The server that the tests of one process share, where none is running already. It ends with the last of them.
static SHARED: Mutex<Weak<OwnServer>> = Mutex::new(Weak::new());

#[derive(Debug)]
struct OwnServer {
    /// Before its folder, as it must end first.
    server: PostgresServer,
    _folder: TempDir,
}

/// A new, empty database that belongs to the role `anomaly_user`. It goes away with the value.
#[derive(Debug)]
pub struct TestDatabase {
    /// The server's address.
    pub host: String,
    /// The server's port.
    pub port: u16,
    /// The database.
    pub name: String,
    /// The role.
    pub user: &'static str,
    /// The role's password.
    pub password: &'static str,
    programs: PostgresPrograms,
    /// Where the superuser connects to.
    admin: String,
    _server: Option<Arc<OwnServer>>,
}

impl TestDatabase {
    /// A database on the server that [`POSTGRES_ENV`] names, else on one that the tests of this process share.
    ///
    /// # Errors
    /// When there is no server, and none can be started.
    pub fn new() -> anyhow::Result<Self> {
        match std::env::var(POSTGRES_ENV) {
            Ok(url) => Self::make(url, None).with_context(|| format!("on the server that {POSTGRES_ENV} names")),
            Err(_) => {
                let own = shared()?;
                Self::make(own.server.url(), Some(own))
            }
        }
    }

    /// A database on `server`, which must live longer.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn on(server: &PostgresServer) -> anyhow::Result<Self> {
        Self::make(server.url(), None)
    }

    /// Where the role connects to.
    #[must_use]
    pub fn url(&self) -> String {
        let Self { host, port, name, user, password, .. } = self;
        format!("postgres://{user}:{password}@{host}:{port}/{name}")
    }

    /// Runs SQL as the role, and gives back the values of the answer, a row a line.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn psql(&self, sql: &str) -> anyhow::Result<String> {
        psql(&self.programs, &self.url(), &[sql])
    }

    /// Runs SQL as the superuser, in this database.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn psql_as_superuser(&self, sql: &str) -> anyhow::Result<String> {
        let (server, _) = self.admin.rsplit_once('/').context("no database in the URL")?;
        psql(&self.programs, &format!("{server}/{}", self.name), &[sql])
    }

    fn make(admin: String, server: Option<Arc<OwnServer>>) -> anyhow::Result<Self> {
        let programs = PostgresPrograms::find()?;
        let name = format!("pulse_test_{:016x}", RandomState::new().hash_one(std::process::id()));
        let create = format!("CREATE DATABASE {name} OWNER {USER} ENCODING 'UTF8' TEMPLATE template0");
        psql(&programs, &admin, &[ROLE, &create])?;
        let address = admin.rsplit_once('@').and_then(|(_, rest)| rest.split('/').next());
        let (host, port) = address.and_then(|address| address.rsplit_once(':')).context("no host:port in the URL")?;
        let (host, port) = (host.to_owned(), port.parse()?);
        Ok(Self { host, port, name, user: USER, password: PASSWORD, programs, admin, _server: server })
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        // What is left of a failed test goes with the server.
        drop(psql(&self.programs, &self.admin, &[&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name)]));
    }
}

fn shared() -> anyhow::Result<Arc<OwnServer>> {
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(own) = shared.upgrade() {
        return Ok(own);
    }
    let folder = tempfile::tempdir()?;
    let own = Arc::new(OwnServer { server: PostgresServer::start(folder.path())?, _folder: folder });
    *shared = Arc::downgrade(&own);
    Ok(own)
}

fn psql(programs: &PostgresPrograms, url: &str, statements: &[&str]) -> anyhow::Result<String> {
    let mut command = programs.command("psql");
    command.args([
        "--no-psqlrc",
        "--quiet",
        "--tuples-only",
        "--no-align",
        "--set",
        "ON_ERROR_STOP=1",
        "--dbname",
        url,
    ]);
    run(command.args(statements.iter().flat_map(|statement| ["--command", statement])))
}
