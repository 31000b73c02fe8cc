//! The servers that tests run on: one Kafka and one Postgres for all of them.

use std::process::{Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use pulse_testkit::servers::kafka::{KAFKA_ENV, KAFKA_LIBS_ENV, KafkaServer, ensure_kafka_libs, kafka_libs_folder};
use pulse_testkit::servers::postgres::{POSTGRES_ENV, PostgresPrograms, PostgresServer};
use tempfile::TempDir;

use crate::install::{self, Missing};
use crate::step;

/// The oldest Java that Kafka runs on.
const JAVA: u32 = 17;

/// Running servers. They end with the value, and with the process.
#[derive(Debug)]
pub(crate) struct Servers(Arc<Mutex<Option<Running>>>);

#[derive(Debug)]
struct Running {
    kafka: KafkaServer,
    postgres: PostgresServer,
    /// Behind the servers, as they must end first.
    _folder: TempDir,
}

/// Installs what the servers lack.
///
/// # Errors
/// When something is missing and cannot be installed; the text says how.
pub(crate) fn ensure() -> anyhow::Result<()> {
    install::ensure(missing, "tests run on a real Kafka and a real Postgres", "--no-servers")?;
    if has_kafka() {
        return Ok(());
    }
    ensure_kafka_libs(&kafka_libs_folder()?)
}

impl Servers {
    /// Starts them.
    ///
    /// # Errors
    /// When one does not start; the text has what it said.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("pulse-test-servers-").tempdir()?;
        // Postgres runs as another user, who has to get through.
        open(&folder)?;
        let postgres = PostgresServer::start(&folder.path().join("postgres"))?;
        let kafka = KafkaServer::start(&folder.path().join("kafka"))?;
        let servers = Arc::new(Mutex::new(Some(Running { kafka, postgres, _folder: folder })));
        let handled = Arc::clone(&servers);
        ctrlc::set_handler(move || {
            drop(handled.lock().unwrap_or_else(PoisonError::into_inner).take());
            std::process::exit(130);
        })
        .context("cannot listen for signals")?;
        Ok(Self(servers))
    }

    /// The variables by which tests find them.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        let servers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |running: &Running| vec![(KAFKA_ENV, running.kafka.brokers()), (POSTGRES_ENV, running.postgres.url())];
        servers.as_ref().map(of).unwrap_or_default()
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        // The handler of signals has them, too.
        drop(self.0.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// `cargo xtask servers`: runs them until it is interrupted.
///
/// # Errors
/// When they cannot be started.
pub(crate) fn run() -> anyhow::Result<ExitCode> {
    ensure()?;
    let servers = Servers::start()?;
    println!(
        "Kafka and Postgres run until Ctrl-C. For `cargo test -p pulse-store --features server-tests` in another terminal:"
    );
    for (name, value) in servers.variables() {
        println!("export {name}={value}");
    }
    loop {
        std::thread::park();
    }
}

fn missing() -> Vec<Missing> {
    let wanted = [
        (has_java(), Missing { name: "Java 17", package: "default-jre-headless" }),
        (has_kafka() || step::find_program(&["mvn"]).is_some(), Missing { name: "Maven", package: "maven" }),
        (PostgresPrograms::find().is_ok(), Missing { name: "Postgres", package: "postgresql" }),
    ];
    wanted.into_iter().filter(|(is_there, _)| !is_there).map(|(_, missing)| missing).collect()
}

/// Whether somebody has said where Kafka is.
fn has_kafka() -> bool {
    std::env::var_os(KAFKA_LIBS_ENV).is_some()
}

fn has_java() -> bool {
    let output = Command::new("java").arg("-version").stdin(Stdio::null()).output();
    output.is_ok_and(|output| java_version(&String::from_utf8_lossy(&output.stderr)) >= Some(JAVA))
}

/// The major version in what `java -version` prints; 1 for all before Java 9.
fn java_version(text: &str) -> Option<u32> {
    let (_, rest) = text.split_once("version \"")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(unix)]
fn open(folder: &TempDir) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?)
}

#[cfg(not(unix))]
fn open(_: &TempDir) -> anyhow::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_java_are_read() {
        for (text, version) in [
            ("openjdk version \"17.0.15\" 2025-04-15\nOpenJDK Runtime", Some(17)),
            ("java version \"1.8.0_402\"", Some(1)),
            ("openjdk version \"25\" 2025-09-16", Some(25)),
            ("command not found", None),
        ] {
            assert_eq!(java_version(text), version, "{text}");
        }
    }
}
