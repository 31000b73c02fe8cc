//! A server under test or measurement, as a process on a free port of this machine.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use pulse_testkit::servers::{Guard, free_port};

use crate::{http, step};

/// Longer than anything takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running server. It ends with the value, and with this process, however that ends.
#[derive(Debug)]
pub(crate) struct Server {
    name: String,
    address: SocketAddr,
    child: Child,
    /// None once it is no longer needed.
    guard: Option<Guard>,
    log: PathBuf,
}

impl Server {
    /// Starts what `command` makes of a free port, and waits until its `/ready` says so. What it says lies in `folder`.
    ///
    /// # Errors
    /// When it does not start, or is never ready; the text has what it said.
    pub(crate) fn start(name: &str, folder: &Path, command: impl FnOnce(u16) -> Command) -> anyhow::Result<Self> {
        let port = free_port()?;
        let mut command = command(port);
        let log = folder.join(format!("{name}-{port}.log"));
        let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().with_context(|| format!("cannot start {}", step::line(&command)))?;
        let guard = Guard::of(child.id()).ok();
        let mut server = Self { name: name.to_owned(), address: (Ipv4Addr::LOCALHOST, port).into(), child, guard, log };
        server.wait_until_ready()?;
        Ok(server)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Processor time that it has used so far; none where the operating system does not say it as Linux does.
    pub(crate) fn processor_time(&self) -> Option<Duration> {
        cpu_time(&std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?)
    }

    fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let started = Instant::now();
        while !http::get(self.address, "/ready").is_ok_and(|(status, _)| status == 200) {
            let ended = self.child.try_wait()?;
            if ended.is_some() || started.elapsed() > PATIENCE {
                let said = std::fs::read_to_string(&self.log).unwrap_or_default();
                bail!(
                    "{} is not ready, but {}:\n{said}",
                    self.name,
                    ended.map_or("running".to_owned(), |end| end.to_string())
                );
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().unwrap_or_default();
        drop(self.child.wait());
        drop(self.guard.take().map(Guard::leave));
    }
}

/// The processor time, its own and the kernel's for it, in what `/proc/<pid>/stat` says.
fn cpu_time(stat: &str) -> Option<Duration> {
    /// A constant of Linux on every machine that Rust runs on.
    const TICKS_PER_SECOND: u32 = 100;
    // The name of the program, in brackets, may hold spaces.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(11);
    let mut ticks = || fields.next()?.parse::<u32>().ok();
    Some(Duration::from_secs(1) * (ticks()? + ticks()?) / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_behind_the_name() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 9 9 20 0 1 0 1 1 1";
        assert_eq!(cpu_time(stat), Some(Duration::from_secs(3)));
        assert_eq!(cpu_time("7 (a) S 1"), None);
    }
}
