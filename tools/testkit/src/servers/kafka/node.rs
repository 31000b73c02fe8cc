//! One Kafka as a process.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use super::libraries;
use crate::servers::guard::Guard;

/// Longer than anything takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(90);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// What every cluster of ours is called: 16 bytes, as base64 without padding.
const CLUSTER_ID: &str = "c3RyZWFtLXB1bHNlLXQ";

/// A Kafka in a folder, running or not. It ends with the value, and with the process, however that ends.
#[derive(Debug)]
pub(super) struct Node {
    libraries: PathBuf,
    dir: PathBuf,
    /// Its heap, in megabytes.
    heap: u32,
    /// Whether the folder goes when it ends.
    temporary: bool,
    child: Option<(Child, Guard)>,
    /// How often it was started: each start has a log of its own.
    starts: u32,
}

impl Node {
    pub(super) fn new(dir: &Path, heap: u32, temporary: bool) -> anyhow::Result<Self> {
        let libraries = libraries::find()?;
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        Ok(Self { libraries, dir: dir.to_owned(), heap, temporary, child: None, starts: 0 })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn is_running(&self) -> bool {
        self.child.is_some()
    }

    /// Writes `server.properties`, and makes the folder of the data, unless it is there.
    pub(super) fn configure(&self, properties: &str) -> anyhow::Result<()> {
        fs::write(self.configuration(), properties).context("cannot write server.properties")?;
        let mut command = self.java("kafka.tools.StorageTool");
        command.args(["format", "--ignore-formatted", "-t", CLUSTER_ID, "-c"]).arg(self.configuration());
        let output = command
            .output()
            .context("cannot start java: install it (on Debian: apt-get install default-jre-headless)")?;
        if !output.status.success() {
            bail!("Kafka cannot format its folder:\n{}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }

    /// Starts it, and does not wait until it is ready.
    pub(super) fn spawn(&mut self) -> anyhow::Result<()> {
        self.starts += 1;
        let log = File::create(self.log()).context("cannot write the log of Kafka")?;
        let mut command = self.java("kafka.Kafka");
        command.arg(self.configuration()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().context("cannot start java")?;
        let guard = if self.temporary { Guard::of_both(child.id(), &self.dir) } else { Guard::of(child.id()) }?;
        self.child = Some((child, guard));
        Ok(())
    }

    /// Waits until it is ready; false when it has ended instead.
    pub(super) fn await_ready(&mut self) -> anyhow::Result<bool> {
        let path = self.log();
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            let Some((child, _)) = &mut self.child else { return Ok(false) };
            if child.try_wait()?.is_some() {
                if let Some((_, guard)) = self.child.take() {
                    guard.leave()?;
                }
                return Ok(false);
            }
            if fs::read_to_string(&path).unwrap_or_default().contains("Kafka Server started") {
                return Ok(true);
            }
            std::thread::sleep(LOOK_EVERY);
        }
        bail!("Kafka was not ready after {} s; it said:\n{}", PATIENCE.as_secs(), self.said())
    }

    /// Stops it in good order.
    pub(super) fn stop(&mut self) -> anyhow::Result<()> {
        let Some((mut child, guard)) = self.child.take() else { return Ok(()) };
        guard.leave()?;
        signal("TERM", child.id())?;
        let begin = Instant::now();
        while child.try_wait()?.is_none() {
            if begin.elapsed() > PATIENCE {
                child.kill()?;
                child.wait()?;
                bail!("Kafka did not stop; it said:\n{}", self.said());
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// Ends it as a crash does.
    pub(super) fn kill(&mut self) -> anyhow::Result<()> {
        let Some((mut child, guard)) = self.child.take() else { return Ok(()) };
        guard.leave()?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    pub(super) fn suspend(&self) -> anyhow::Result<()> {
        signal("STOP", self.child.as_ref().context("Kafka does not run")?.0.id())
    }

    pub(super) fn resume(&self) -> anyhow::Result<()> {
        signal("CONT", self.child.as_ref().context("Kafka does not run")?.0.id())
    }

    /// The end of the log of its last start.
    pub(super) fn said(&self) -> String {
        let said = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = said.lines().rev().take(40).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// The logs of all its starts.
    pub(super) fn logs(&self) -> Vec<PathBuf> {
        (1..=self.starts).map(|start| self.log_of(start)).collect()
    }

    fn java(&self, main: &str) -> Command {
        let mut command = Command::new("java");
        // Its own folder, so that nothing is written elsewhere.
        command.current_dir(&self.dir).stdin(Stdio::null());
        command.args([&format!("-Xmx{}m", self.heap), "-XX:+UseSerialGC", "-cp"]);
        command.arg(self.libraries.join("*")).arg(main);
        command
    }

    fn configuration(&self) -> PathBuf {
        self.dir.join("server.properties")
    }

    fn log(&self) -> PathBuf {
        self.log_of(self.starts)
    }

    fn log_of(&self, start: u32) -> PathBuf {
        self.dir.join(format!("server-{start}.log"))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Nobody is left to hear of a failure.
        drop(self.kill());
        if self.temporary {
            drop(fs::remove_dir_all(&self.dir));
        }
    }
}

fn signal(name: &str, process: u32) -> anyhow::Result<()> {
    let status = Command::new("kill").args(["-s", name, &process.to_string()]).status().context("cannot run kill")?;
    if !status.success() {
        bail!("process {process} could not be signalled");
    }
    Ok(())
}
