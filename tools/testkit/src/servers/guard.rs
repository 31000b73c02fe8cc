//! Ends a server when this process ends, however it does: a shell waits for the end of its input, which we hold.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::Context as _;

/// Kills a process when this one ends, or when it is dropped.
#[derive(Debug)]
pub struct Guard(Child);

impl Guard {
    /// Guards `process`.
    ///
    /// # Errors
    /// When there is no shell.
    pub fn of(process: u32) -> anyhow::Result<Self> {
        Self::run("read -r _; kill -9 \"$0\"", process, OsStr::new(""))
    }

    /// Guards `process`, whose data lies in `folder` and goes with it.
    pub(super) fn of_both(process: u32, folder: &Path) -> anyhow::Result<Self> {
        Self::run("read -r _; kill -9 \"$0\"; rm -rf -- \"$1\"", process, folder.as_os_str())
    }

    fn run(script: &str, process: u32, folder: &OsStr) -> anyhow::Result<Self> {
        let mut command = Command::new("sh");
        command.args(["-c", script, &process.to_string()]).arg(folder);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self(command.spawn().context("cannot start sh")?))
    }

    /// Leaves the process alone. To be called before its number may belong to another one.
    ///
    /// # Errors
    /// When the guard itself cannot be ended.
    pub fn leave(mut self) -> anyhow::Result<()> {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }
}
