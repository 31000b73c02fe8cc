//! Runs the real binary as a person would, on free ports and a folder of its own.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

/// Longer than anything takes on a loaded machine; a test that waits this long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// The folder of the shipped use cases.
pub(crate) fn usecases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../usecases")
}

/// The command `stream-pulse up` on free ports.
pub(crate) fn up(data: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stream-pulse"));
    command.arg("up").args(args).arg("--data-dir").arg(data);
    for service in ["DASHBOARD", "ML_SERVICE", "SIMULATOR", "PROCESSOR", "WRITER"] {
        command.env(format!("PULSE__{service}__PORT"), "0");
    }
    command.env("PULSE__USECASES", usecases()).env_remove("USE_CASE").env_remove("PULSE_CONFIG").env_remove("RUST_LOG");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A running `up`.
pub(crate) struct Up {
    child: Child,
    lines: mpsc::Receiver<String>,
    /// Everything that it said on standard error so far.
    pub(crate) said: Vec<String>,
}

impl Up {
    /// Starts it.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, lines, said: Vec::new() }
    }

    /// Waits until it says a line that contains `text`, and gives it back.
    pub(crate) fn wait_for(&mut self, text: &str) -> String {
        loop {
            if let Some(line) = self.said.iter().find(|line| line.contains(text)) {
                return line.clone();
            }
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => self.said.push(line),
                Err(error) => panic!("no {text:?} ({error}); it said:\n{}", self.said.join("\n")),
            }
        }
    }

    /// The address that it printed for `what`, without the path.
    pub(crate) fn address(&mut self, what: &str) -> String {
        let line = self.wait_for(what);
        let url = line.split_whitespace().find(|word| word.starts_with("http://")).unwrap();
        // Bound to IPv4 only, which the name may not resolve to first.
        url.rsplit_once('/').map_or(url, |(base, _)| base).replace("localhost", "127.0.0.1")
    }

    /// Sends a signal by the name that `kill` knows.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status().unwrap();
        assert!(sent.success());
    }

    /// Panics, with what it said, when it has ended.
    pub(crate) fn still_runs(&mut self) {
        if let Some(status) = self.child.try_wait().unwrap() {
            self.said.extend(self.lines.try_iter());
            panic!("it ended ({status}); it said:\n{}", self.said.join("\n"));
        }
    }

    /// Waits for its end: how it ended, and what it printed on standard output.
    pub(crate) fn end(&mut self) -> (ExitStatus, String) {
        let mut stdout = self.child.stdout.take().unwrap();
        let (sender, printed) = mpsc::channel();
        std::thread::spawn(move || {
            let mut text = String::new();
            stdout.read_to_string(&mut text).map(|_| sender.send(text))
        });
        let Ok(printed) = printed.recv_timeout(PATIENCE) else {
            self.said.extend(self.lines.try_iter());
            panic!("it does not end; it said:\n{}", self.said.join("\n"));
        };
        (self.child.wait().unwrap(), printed)
    }

    /// Waits for its end, which must be a good one, and parses the summary.
    pub(crate) fn summary(mut self) -> Value {
        let (status, printed) = self.end();
        self.said.extend(self.lines.try_iter());
        assert!(status.success(), "{status}; it said:\n{}", self.said.join("\n"));
        serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"))
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // Ending one that has ended already fails, and that is fine.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
