//! A service as a process.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use pulse_testkit::servers::Guard;
use serde_json::Value;

use crate::stack::PATIENCE;

/// The ports that are chosen freely, so that any number of services run beside each other.
const FREE_PORTS: [&str; 5] = ["DASHBOARD", "ML_SERVICE", "SIMULATOR", "PROCESSOR", "WRITER"];

/// Lines of a killed service that are shown.
const LAST_LINES: usize = 25;

/// A running service. It ends with the value, and with this process, however that ends.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    /// None once it is no longer needed.
    guard: Option<Guard>,
    said: Arc<Mutex<Vec<String>>>,
    /// Reads what it says; none once all of it is known.
    reader: Option<JoinHandle<()>>,
}

impl Process {
    /// Starts `binary`, which lies where this program was built, with `environment` and nothing else of ours.
    ///
    /// # Errors
    /// When it was not built, or does not start.
    pub fn start(binary: &str, environment: &[(&str, &str)]) -> anyhow::Result<Self> {
        let path = folder()?.join(binary);
        ensure!(path.exists(), "{} was not built: run these tests by `cargo xtask test`", path.display());
        let mut command = Command::new(path);
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if name.starts_with("PULSE_") || name == "USE_CASE" || name == "RUST_LOG" {
                command.env_remove(name);
            }
        }
        command.envs(FREE_PORTS.map(|service| (format!("PULSE__{service}__PORT"), "0")));
        command.env("PULSE__LOG__FORMAT", "json").envs(environment.iter().copied());
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let stderr = BufReader::new(child.stderr.take().context("it has no standard error")?);
        let guard = Some(Guard::of(child.id())?);
        let said = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::clone(&said);
        let reader = std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        Ok(Self { name: binary.to_owned(), child, guard, said, reader: Some(reader) })
    }

    /// Everything that it logged so far.
    #[must_use]
    pub fn said(&self) -> Vec<String> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for a line that contains `text`.
    ///
    /// # Errors
    /// When it ends without, or never says it.
    pub async fn says(&mut self, text: &str) -> anyhow::Result<String> {
        let started = Instant::now();
        loop {
            let ended = self.ended()?;
            if let Some(line) = self.said().into_iter().find(|line| line.contains(text)) {
                return Ok(line);
            }
            if let Some(status) = ended {
                bail!("{} ended ({status}) without saying {text:?}; it said:\n{}", self.name, self.said().join("\n"));
            }
            ensure!(started.elapsed() < PATIENCE, "{} never said {text:?} but:\n{}", self.name, self.said().join("\n"));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Where it listens, as in `http://127.0.0.1:41234`.
    ///
    /// # Errors
    /// When it does not say.
    pub async fn url(&mut self) -> anyhow::Result<String> {
        let line: Value = serde_json::from_str(&self.says("\"address\"").await?)?;
        let address = line["address"].as_str().context("the address is no text")?;
        Ok(format!("http://{address}"))
    }

    /// Waits until it is ready.
    ///
    /// # Errors
    /// When it ends, or never is.
    pub async fn ready(&mut self) -> anyhow::Result<()> {
        let url = format!("{}/ready", self.url().await?);
        let started = Instant::now();
        loop {
            let answer = get(&url);
            if let Some(status) = self.ended()? {
                bail!("{} ended ({status}); it said:\n{}", self.name, self.said().join("\n"));
            }
            let answer = answer.with_context(|| format!("{} said:\n{}", self.name, self.said().join("\n")))?;
            if answer.status == 200 {
                return Ok(());
            }
            ensure!(started.elapsed() < PATIENCE, "{} is never ready: {}", self.name, answer.body);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The value of a metric, the sum over its labels that contain `labels`.
    ///
    /// # Errors
    /// When it cannot be asked, or does not have it.
    pub async fn metric(&mut self, name: &str, labels: &str) -> anyhow::Result<f64> {
        let body = get(&format!("{}/metrics", self.url().await?))?.body;
        let values = body.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let rest = series.strip_prefix(name)?;
            let ours = rest.is_empty() || rest.starts_with('{');
            (ours && rest.contains(labels)).then(|| value.parse::<f64>().ok()).flatten()
        });
        let values: Vec<f64> = values.collect();
        ensure!(!values.is_empty(), "{} has no metric {name} with {labels}:\n{body}", self.name);
        Ok(values.iter().sum())
    }

    /// Processor time used so far, in seconds, and the most memory that was resident, in bytes.
    ///
    /// # Errors
    /// When the operating system does not say.
    pub fn usage(&self) -> anyhow::Result<(f64, u64)> {
        /// Ticks of `/proc/<pid>/stat`: a constant of Linux on every machine that Rust runs on.
        const TICKS_PER_SECOND: f64 = 100.0;
        let read = |file| std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id()));
        let stat = read("stat")?;
        // The name of the program, in brackets, may hold spaces.
        let (_, fields) = stat.rsplit_once(") ").context("no fields")?;
        let ticks: Vec<f64> = fields.split(' ').skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
        let status = read("status")?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
        let kib: u64 = peak.trim().trim_end_matches(" kB").parse()?;
        Ok((ticks.iter().sum::<f64>() / TICKS_PER_SECOND, kib << 10))
    }

    /// Sends a signal by the name that `kill` knows.
    ///
    /// # Errors
    /// When it cannot be sent.
    pub fn signal(&self, name: &str) -> anyhow::Result<()> {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status()?;
        ensure!(sent.success(), "SIG{name} could not be sent to {}", self.name);
        Ok(())
    }

    /// Stops it in good order, and says how long that took.
    ///
    /// # Errors
    /// When it does not end well.
    pub async fn stop(mut self) -> anyhow::Result<Duration> {
        let started = Instant::now();
        self.signal("TERM")?;
        let status = self.end().await?;
        ensure!(status.success(), "{} ended badly ({status}); it said:\n{}", self.name, self.said().join("\n"));
        Ok(started.elapsed())
    }

    /// Ends it as a crash does.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.end().await.map(drop)
    }

    /// How it ended, if it did. Then all that it said is known: its last lines may be read after its end is seen.
    ///
    /// # Errors
    /// When the operating system does not say.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        let ended = self.child.try_wait()?;
        if let Some(reader) = ended.and_then(|_| self.reader.take()) {
            ensure!(reader.join().is_ok(), "what {} said could not be read", self.name);
        }
        Ok(ended)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it never ends.
    pub async fn end(&mut self) -> anyhow::Result<ExitStatus> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            ensure!(started.elapsed() < PATIENCE, "{} does not end; it said:\n{}", self.name, self.said().join("\n"));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Process {
    /// Kills it. A test that ends so, with a service still running, has mostly failed: what it said last tells why.
    #[expect(clippy::print_stderr, reason = "shown with the failed test alone")]
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            let said = self.said();
            let last = &said[said.len().saturating_sub(LAST_LINES)..];
            eprintln!("{} was still running; it said last:\n{}", self.name, last.join("\n"));
        }
        // It may have ended by itself.
        self.child.kill().unwrap_or_default();
        drop(self.child.wait());
        drop(self.guard.take().map(Guard::leave));
    }
}

/// Where cargo puts binaries: two levels above the program of a test.
fn folder() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folder = own.ancestors().find(|folder| folder.file_name().is_some_and(|name| name == "deps"));
    let folder = folder.and_then(|deps| deps.parent()).or_else(|| own.parent());
    Ok(folder.context("this program lies nowhere")?.to_owned())
}

/// An answer over HTTP.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its body.
    pub body: String,
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build().into()
}

/// Asks for `url`.
///
/// # Errors
/// When nobody answers.
pub fn get(url: &str) -> anyhow::Result<Answer> {
    let mut response = agent().get(url).call().with_context(|| url.to_owned())?;
    Ok(Answer { status: response.status().as_u16(), body: response.body_mut().read_to_string()? })
}

/// Posts `json` to `url`.
///
/// # Errors
/// When nobody answers.
pub fn post(url: &str, json: &str) -> anyhow::Result<Answer> {
    let request = agent().post(url).header("Content-Type", "application/json");
    let mut response = request.send(json).with_context(|| url.to_owned())?;
    Ok(Answer { status: response.status().as_u16(), body: response.body_mut().read_to_string()? })
}
