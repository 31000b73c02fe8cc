//! The stack of `docker-compose.yml`, beside any other that runs here: a project and ports of its own.

use std::fs;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use pulse_testkit::servers::free_port;
use serde_json::json;

use super::receivers::Receivers;
use crate::step;

const PROJECT: &str = "pulse-e2e";
/// Not the name of anybody's own.
pub(super) const IMAGE: &str = "stream-pulse-e2e";
/// The container of the second simulator.
const MORE: &str = "pulse-e2e-more";
/// By this name a container reaches the machine that it runs on.
const HOST: &str = "host.docker.internal";
/// Of Kafka's tools: with that of the broker they would not fit into its container beside it.
const TOOLS_HEAP: &str = "KAFKA_HEAP_OPTS=-Xmx128m";
/// What is shown of each container's log when something has failed.
const LOG_LINES: &str = "20";

/// The project. It is removed, with its volumes, with the value and when this program is interrupted.
#[derive(Debug)]
pub(super) struct Stack {
    compose: Compose,
    ports: Ports,
    /// What Alertmanager gets as files.
    secrets: PathBuf,
}

/// How `docker compose` is called.
#[derive(Debug, Clone)]
struct Compose {
    files: [PathBuf; 2],
    no_settings: PathBuf,
    variables: Vec<(&'static str, String)>,
}

/// Where this machine reaches the services.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    pub(super) dashboard: u16,
    pub(super) ml_service: u16,
    pub(super) prometheus: u16,
}

impl Stack {
    /// A stack of which nothing is started yet.
    ///
    /// # Errors
    /// When there is no Docker engine with Compose.
    pub(super) fn new(folder: &Path) -> anyhow::Result<Self> {
        let engine = output(Command::new("docker").args(["version", "--format", "{{.Server.Version}}"]))?;
        let version = output(Command::new("docker").args(["compose", "version", "--short"]))?;
        println!("Docker {}, Compose {}", engine.trim(), version.trim());
        let ports = Ports { dashboard: free_port()?, ml_service: free_port()?, prometheus: free_port()? };
        let secrets = folder.join("secrets");
        fs::create_dir(&secrets)?;
        let added = json!({"services": {"alertmanager": {
            "extra_hosts": [format!("{HOST}:host-gateway")],
            "volumes": [format!("{}:/etc/alertmanager/secrets:ro", secrets.display())],
            // So that one message can be told from the next within minutes.
            "environment": {"ALERT_GROUP_WAIT": "1s", "ALERT_GROUP_INTERVAL": "5s"},
        }}});
        let (file, no_settings) = (folder.join("compose.json"), folder.join("no.env"));
        fs::write(&file, added.to_string())?;
        fs::write(&no_settings, "")?;
        readable(folder)?;
        let variables = vec![
            ("PULSE_IMAGE", IMAGE.to_owned()),
            ("DASHBOARD_PORT", ports.dashboard.to_string()),
            ("ML_SERVICE_PORT", ports.ml_service.to_string()),
            ("PROMETHEUS_PORT", ports.prometheus.to_string()),
            ("KAFKA_PORT", free_port()?.to_string()),
            ("POSTGRES_PORT", free_port()?.to_string()),
            ("ALERTMANAGER_PORT", free_port()?.to_string()),
            ("GRAFANA_PORT", free_port()?.to_string()),
            ("ALERT_EMAIL_TO", "on-call@example.org".to_owned()),
            // The receiver of the test has no certificate.
            ("ALERT_SMTP_TLS", "false".to_owned()),
        ];
        let files = [step::workspace().join("docker-compose.yml"), file];
        let compose = Compose { files, no_settings, variables };
        // One that was killed may have left its own.
        compose.remove()?;
        let interrupted = compose.clone();
        ctrlc::set_handler(move || {
            let removed = interrupted.remove();
            std::process::exit(if removed.is_ok() { 130 } else { 1 });
        })
        .context("cannot listen for signals")?;
        Ok(Self { compose, ports, secrets })
    }

    /// Lets its alerts go to `receivers`, from its start on.
    ///
    /// # Errors
    /// When that cannot be written down.
    pub(super) fn send_alerts_to(&mut self, receivers: &Receivers) -> anyhow::Result<()> {
        fs::write(self.secrets.join("webhook_url"), format!("http://{HOST}:{}/", receivers.webhook.port()))?;
        self.compose.variables.push(("ALERT_SMTP", format!("{HOST}:{}", receivers.smtp.port())));
        Ok(())
    }

    pub(super) fn ports(&self) -> Ports {
        self.ports
    }

    /// Builds the images, visibly.
    ///
    /// # Errors
    /// When that fails.
    pub(super) fn build(&self) -> anyhow::Result<()> {
        let commit =
            output(Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).current_dir(step::workspace()));
        let mut build = self.compose.command(&["build", "ml-service"]);
        build.env("PULSE_COMMIT", commit.map_or_else(|_| "unknown".to_owned(), |commit| commit.trim().to_owned()));
        ensure!(step::run("image", &mut build)?, "the image cannot be built");
        Ok(())
    }

    /// What `docker compose` says to `args`.
    ///
    /// # Errors
    /// When it fails; the text has what it said.
    pub(super) fn compose(&self, args: &[&str]) -> anyhow::Result<String> {
        output(&mut self.compose.command(args))
    }

    /// Another simulator, with settings of its own, beside the one of the compose file.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(super) fn simulate_more(&self, settings: &[&str]) -> anyhow::Result<()> {
        let mut args = vec!["run", "--detach", "--no-deps", "--name", MORE];
        settings.iter().for_each(|setting| args.extend(["--env", setting]));
        args.push("simulator");
        self.compose(&args).map(drop)
    }

    /// Ends it.
    ///
    /// # Errors
    /// When the engine refuses.
    pub(super) fn simulate_no_more(&self) -> anyhow::Result<()> {
        remove_more()
    }

    /// Begins what `docker compose` does; the caller waits for it.
    pub(super) fn command(&self, args: &[&str]) -> Command {
        self.compose.command(args)
    }

    /// What a program in the container of `service` says, `input` being typed into it.
    ///
    /// # Errors
    /// When it fails; the text has what it said.
    pub(super) fn exec(&self, service: &str, program: &[&str], input: &[u8]) -> anyhow::Result<String> {
        self.type_into(&[&["exec", "-T", service], program].concat(), input)
    }

    /// What one of Kafka's tools says in the container of the broker, `input` being typed into it.
    ///
    /// # Errors
    /// When it fails; the text has what it said.
    pub(super) fn kafka(&self, tool: &str, options: &[&str], input: &[u8]) -> anyhow::Result<String> {
        let tool = format!("/opt/kafka/bin/{tool}");
        let exec = ["exec", "-T", "--env", TOOLS_HEAP, "kafka", &tool, "--bootstrap-server", "kafka:19092"];
        self.type_into(&[&exec[..], options].concat(), input)
    }

    fn type_into(&self, args: &[&str], input: &[u8]) -> anyhow::Result<String> {
        let mut command = self.compose.command(args);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let mut stdin = child.stdin.take().context("a pipe was asked for")?;
        // A program that fails early reads nothing: what it says tells more than the broken pipe.
        let written = stdin.write_all(input);
        drop(stdin);
        let output = child.wait_with_output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}: {}: {}", step::line(&command), output.status, said.trim());
        written?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Prints the end of every log.
    pub(super) fn show_logs(&self) {
        match self.compose(&["logs", "--no-color", "--tail", LOG_LINES]) {
            Ok(logs) => println!("{logs}"),
            Err(error) => println!("no logs: {error:#}"),
        }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if let Err(error) = self.compose.remove() {
            println!("{PROJECT} is left behind: {error:#}");
        }
    }
}

impl Compose {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command.current_dir(step::workspace()).args(["compose", "--project-name", PROJECT, "--env-file"]);
        command.arg(&self.no_settings);
        for file in &self.files {
            command.arg("--file").arg(file);
        }
        command.args(args).envs(self.variables.iter().map(|(name, value)| (*name, value))).stdin(Stdio::null());
        command
    }

    fn remove(&self) -> anyhow::Result<()> {
        remove_more()?;
        output(&mut self.command(&["down", "--volumes", "--remove-orphans", "--timeout", "20"]))?;
        Ok(())
    }
}

/// One that is not there is no fault.
fn remove_more() -> anyhow::Result<()> {
    output(Command::new("docker").args(["rm", "--force", MORE])).map(drop)
}

/// Where this machine listens so that containers reach it and nobody else does: its own address on Docker's default network, as a
/// container is told it. (What is said of the network itself lacks it on an engine that was never started before.) An engine in a
/// virtual machine has no such address here, and brings containers to this machine's loopback.
pub(super) fn address_of_host() -> anyhow::Result<IpAddr> {
    let name = ["--add-host", "this-machine:host-gateway"];
    let hosts = output(Command::new("docker").args(["run", "--rm"]).args(name).args([
        "--entrypoint",
        "cat",
        IMAGE,
        "/etc/hosts",
    ]))?;
    let address = hosts.lines().find_map(|line| line.strip_suffix("this-machine")?.trim().parse().ok());
    let is_here = |&address: &IpAddr| std::net::TcpListener::bind((address, 0)).is_ok();
    Ok(address.filter(is_here).unwrap_or(Ipv4Addr::LOCALHOST.into()))
}

/// What a command says.
///
/// # Errors
/// When it fails; the text has what it said.
pub(super) fn output(command: &mut Command) -> anyhow::Result<String> {
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {}", step::line(command)))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {}: {}", step::line(command), output.status, said.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Alertmanager is another user.
#[cfg(unix)]
fn readable(folder: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?)
}

#[cfg(not(unix))]
fn readable(_: &Path) -> anyhow::Result<()> {
    Ok(())
}
