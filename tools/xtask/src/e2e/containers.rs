//! The containers of the stack, and what happens to them.

use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::compose::{IMAGE, Stack, output};
use super::wait;

/// A container as Compose lists it.
#[derive(Debug, Clone)]
pub(super) struct Container {
    pub(super) id: String,
    pub(super) service: String,
    is_healthy: bool,
}

impl Stack {
    /// All containers, also those that have ended.
    ///
    /// # Errors
    /// When the engine is away.
    pub(super) fn containers(&self) -> anyhow::Result<Vec<Container>> {
        let listed = self.compose(&["ps", "--all", "--no-trunc", "--format", "json"])?;
        listed.lines().map(container).collect()
    }

    /// Containers of a service.
    ///
    /// # Errors
    /// When the engine is away.
    pub(super) fn containers_of(&self, service: &str) -> anyhow::Result<Vec<Container>> {
        Ok(self.containers()?.into_iter().filter(|container| container.service == service).collect())
    }

    /// Waits until all containers run and are healthy.
    ///
    /// # Errors
    /// When they are not within minutes: with those that are not.
    pub(super) fn all_healthy(&self) -> anyhow::Result<()> {
        wait::until("all containers are healthy", wait::PATIENCE, || {
            let containers = self.containers()?;
            let ill: Vec<_> = containers.iter().filter(|it| !it.is_healthy).map(|it| it.service.as_str()).collect();
            ensure!(ill.is_empty(), "{} is not", ill.join(", "));
            Ok((!containers.is_empty()).then_some(()))
        })
    }

    /// Ends the main process of each container by SIGKILL, as a crash does: `docker kill` would count as asked for, and nothing would be
    /// started anew. The engine may be on another machine, so that it is asked to do it.
    ///
    /// # Errors
    /// When the engine refuses.
    pub(super) fn crash(&self, containers: &[Container]) -> anyhow::Result<()> {
        let processes = inspect("{{.State.Pid}}", containers)?;
        ensure!(processes.iter().all(|process| process != "0"), "a container has no process");
        let kill = format!("kill -9 {}", processes.join(" "));
        let mut run = Command::new("docker");
        run.args(["run", "--rm", "--pid=host", "--network=none", "--user=0", "--entrypoint=sh"]);
        output(run.args([IMAGE, "-c", &kill]))?;
        Ok(())
    }

    /// Gives each container so much of a processor at the most.
    ///
    /// # Errors
    /// When the engine refuses.
    pub(super) fn limit_processors(&self, service: &str, processors: &str) -> anyhow::Result<()> {
        let containers = self.containers_of(service)?;
        let mut update = Command::new("docker");
        output(update.args(["update", "--cpus", processors]).args(containers.iter().map(|container| &container.id)))?;
        Ok(())
    }

    /// Gives each container all the processors there are: a limit that was set can be raised and not removed.
    ///
    /// # Errors
    /// When the engine refuses.
    pub(super) fn free_processors(&self, service: &str) -> anyhow::Result<()> {
        let all = output(Command::new("docker").args(["info", "--format", "{{.NCPU}}"]))?;
        self.limit_processors(service, all.trim())
    }
}

/// How often each was started anew by the engine.
///
/// # Errors
/// When the engine is away.
pub(super) fn restarts(containers: &[Container]) -> anyhow::Result<Vec<u32>> {
    let counts = inspect("{{.RestartCount}}", containers)?;
    counts.iter().map(|count| count.parse().context("a number")).collect()
}

fn inspect(template: &str, containers: &[Container]) -> anyhow::Result<Vec<String>> {
    let mut inspect = Command::new("docker");
    inspect.args(["inspect", "--format", template]).args(containers.iter().map(|container| &container.id));
    Ok(output(&mut inspect)?.lines().map(str::to_owned).collect())
}

fn container(line: &str) -> anyhow::Result<Container> {
    let json: Value = serde_json::from_str(line).context("Compose lists containers as another form")?;
    let text = |name: &str| json[name].as_str().map(str::to_owned).with_context(|| format!("no {name} in {line}"));
    let is_healthy = text("State")? == "running" && text("Health")? == "healthy";
    Ok(Container { id: text("ID")?, service: text("Service")?, is_healthy })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_are_read() {
        let line = |state: &str, health: &str| {
            format!(r#"{{"ID":"ab","Service":"kafka","State":"{state}","Health":"{health}","Name":"x"}}"#)
        };
        let read = container(&line("running", "healthy")).unwrap();
        assert_eq!((read.id.as_str(), read.service.as_str(), read.is_healthy), ("ab", "kafka", true));
        for (state, health) in [("running", "starting"), ("exited", ""), ("running", "unhealthy")] {
            assert!(!container(&line(state, health)).unwrap().is_healthy);
        }
        assert!(container("{}").is_err());
    }
}
