//! A real Postgres for tests.

mod database;
mod programs;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

pub use database::TestDatabase;
pub use programs::PostgresPrograms;

use super::free_port;
use super::guard::Guard;

/// The environment variable with the URL of a running server, on which every test makes a database of its own.
pub const POSTGRES_ENV: &str = "PULSE_TEST_POSTGRES";

/// Longer than anything takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Free ports are tried so often: between finding one and using it, somebody else may take it.
const PORTS: u32 = 5;
const SUPERUSER: &str = "postgres";
const PASSWORD: &str = "of-a-test-server";

/// A server of one's own: on a free port of this machine, with its data in a folder. It ends with the value, and with the
/// process, however that ends.
#[derive(Debug)]
pub struct PostgresServer {
    programs: PostgresPrograms,
    data: PathBuf,
    log: PathBuf,
    port: u16,
    child: Option<(Child, Guard)>,
}

impl PostgresServer {
    /// Makes a new server in `dir` and starts it. Where this process is root, as which Postgres refuses to run, the folder
    /// changes hands.
    ///
    /// # Errors
    /// When Postgres is not installed or does not start; the text has what it said.
    pub fn start(dir: &Path) -> anyhow::Result<Self> {
        let programs = PostgresPrograms::find()?;
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        programs.give(dir)?;
        let (data, log, password) = (dir.join("data"), dir.join("server.log"), dir.join("password"));
        fs::write(&password, PASSWORD)?;
        programs.give(&password)?;
        let mut init = programs.command("initdb");
        init.args([
            "--username",
            SUPERUSER,
            "--auth",
            "scram-sha-256",
            "--encoding",
            "UTF8",
            "--locale",
            "C",
            "--no-sync",
        ]);
        run(init.arg("--pwfile").arg(&password).arg("--pgdata").arg(&data))?;
        let mut server = Self { programs, data, log, port: 0, child: None };
        for _ in 0..PORTS {
            server.port = free_port()?;
            if server.launch()? {
                return Ok(server);
            }
        }
        bail!("Postgres does not start; it said:\n{}", server.said())
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where its superuser connects to.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://{SUPERUSER}:{PASSWORD}@127.0.0.1:{}/postgres", self.port)
    }

    /// Stops it in good order: clients are cut off, and all is written.
    ///
    /// # Errors
    /// When it does not stop.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        self.end("fast")
    }

    /// Ends it as a crash does: nothing is written any more, and the next start has to recover.
    ///
    /// # Errors
    /// When it does not end.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.end("immediate")
    }

    /// Starts it again, on the same port with the same data.
    ///
    /// # Errors
    /// When it does not start; the text has what it said.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.end("fast")?;
        if !self.launch()? {
            bail!("Postgres does not start again; it said:\n{}", self.said());
        }
        Ok(())
    }

    /// Starts it and waits until it is ready; false when it has ended instead.
    fn launch(&mut self) -> anyhow::Result<bool> {
        let log = File::create(&self.log).with_context(|| format!("cannot write {}", self.log.display()))?;
        let port = format!("port={}", self.port);
        let mut command = self.programs.command("postgres");
        // Whatever is not safe against a power cut is safe enough here.
        let settings = [port.as_str(), "listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off"];
        command.args(settings.iter().flat_map(|setting| ["-c", setting])).arg("-D").arg(&self.data);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().context("cannot start postgres")?;
        let guard = Guard::of(child.id())?;
        let (child, _) = self.child.insert((child, guard));
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            if child.try_wait()?.is_some() {
                if let Some((_, guard)) = self.child.take() {
                    guard.leave()?;
                }
                return Ok(false);
            }
            let said = fs::read_to_string(&self.log).unwrap_or_default();
            if said.contains("database system is ready to accept connections") {
                return Ok(true);
            }
            std::thread::sleep(LOOK_EVERY);
        }
        bail!("Postgres was not ready after {} s; it said:\n{}", PATIENCE.as_secs(), self.said())
    }

    fn end(&mut self, mode: &str) -> anyhow::Result<()> {
        let Some((mut child, guard)) = self.child.take() else { return Ok(()) };
        guard.leave()?;
        let stopped = run(self.programs.command("pg_ctl").args(["stop", "-w", "-m", mode, "-D"]).arg(&self.data));
        if stopped.is_err() {
            child.kill()?;
        }
        child.wait()?;
        stopped.map(drop)
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        // Nobody is left to hear of a failure.
        drop(self.end("immediate"));
    }
}

/// Runs a command to its end, and gives back what it printed.
fn run(command: &mut Command) -> anyhow::Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {command:?}"))?;
    if !output.status.success() {
        bail!("{:?} failed:\n{}", command.get_program(), String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}
