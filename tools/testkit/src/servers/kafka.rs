//! A real Kafka for tests: one node that is broker and controller.

mod libraries;

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

pub use libraries::{KAFKA_LIBS_ENV, ensure_kafka_libs, kafka_libs_folder};

use super::free_port;
use super::guard::Guard;

/// The environment variable with `host:port` of a running broker, on which every test makes topics of its own.
pub const KAFKA_ENV: &str = "PULSE_TEST_KAFKA";

/// Longer than anything takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(90);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Free ports are tried so often: between finding two and using them, somebody else may take one.
const PORTS: u32 = 5;
/// What every cluster of ours is called: 16 bytes, as base64 without padding.
const CLUSTER_ID: &str = "c3RyZWFtLXB1bHNlLXQ";

/// A user that a broker lets in by SASL/PLAIN.
#[derive(Debug, Clone, Copy)]
pub struct SaslUser {
    /// Name.
    pub name: &'static str,
    /// Password.
    pub password: &'static str,
}

/// How a broker is started.
#[derive(Debug, Clone, Default)]
pub struct KafkaOptions {
    /// Let in only this user.
    pub sasl: Option<SaslUser>,
    /// Lines of `server.properties`, which stand above ours.
    pub properties: Vec<(String, String)>,
    /// Remove the folder when it ends.
    pub temporary: bool,
}

/// A broker of one's own: on free ports of this machine, with its data in a folder. It ends with the value, and with the
/// process, however that ends.
#[derive(Debug)]
pub struct KafkaServer {
    libraries: PathBuf,
    dir: PathBuf,
    options: KafkaOptions,
    /// Of the broker and of the controller.
    ports: [u16; 2],
    child: Option<(Child, Guard)>,
}

impl KafkaServer {
    /// Makes a new broker in `dir` and starts it.
    ///
    /// # Errors
    /// When Kafka or Java are missing, or it does not start; the text has what it said.
    pub fn start(dir: &Path) -> anyhow::Result<Self> {
        Self::start_with(dir, KafkaOptions::default())
    }

    /// Makes a new broker in `dir` and starts it as `options` say.
    ///
    /// # Errors
    /// When Kafka or Java are missing, or it does not start; the text has what it said.
    pub fn start_with(dir: &Path, options: KafkaOptions) -> anyhow::Result<Self> {
        let libraries = libraries::find()?;
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let mut server = Self { libraries, dir: dir.to_owned(), options, ports: [0, 0], child: None };
        for _ in 0..PORTS {
            server.ports = [free_port()?, free_port()?];
            server.configure()?;
            server.format()?;
            if server.launch()? {
                return Ok(server);
            }
        }
        bail!("Kafka does not start; it said:\n{}", server.said())
    }

    /// Where clients connect to.
    #[must_use]
    pub fn brokers(&self) -> String {
        format!("127.0.0.1:{}", self.ports[0])
    }

    /// Stops it in good order.
    ///
    /// # Errors
    /// When it does not stop.
    pub fn stop(&mut self) -> anyhow::Result<()> {
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
    ///
    /// # Errors
    /// When it does not end.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        let Some((mut child, guard)) = self.child.take() else { return Ok(()) };
        guard.leave()?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Lets nothing happen in it until [`resume`](Self::resume): to clients, it is as if the network were gone.
    ///
    /// # Errors
    /// When it does not run.
    pub fn suspend(&self) -> anyhow::Result<()> {
        signal("STOP", self.child.as_ref().context("Kafka does not run")?.0.id())
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// When it does not run.
    pub fn resume(&self) -> anyhow::Result<()> {
        signal("CONT", self.child.as_ref().context("Kafka does not run")?.0.id())
    }

    /// Starts it again, on the same port with the same data, and stops it before that, if it runs.
    ///
    /// # Errors
    /// When it does not start; the text has what it said.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.stop()?;
        if !self.launch()? {
            bail!("Kafka does not start again; it said:\n{}", self.said());
        }
        Ok(())
    }

    fn configuration(&self) -> PathBuf {
        self.dir.join("server.properties")
    }

    fn configure(&self) -> anyhow::Result<()> {
        let [broker, controller] = self.ports;
        let protocol = if self.options.sasl.is_some() { "SASL_PLAINTEXT" } else { "PLAINTEXT" };
        // Records of tests have times of their own, at which retention would go for them.
        let mut text = format!(
            "process.roles=broker,controller\nnode.id=1\n\
             listeners={protocol}://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners={protocol}://127.0.0.1:{broker}\n\
             inter.broker.listener.name={protocol}\ncontroller.listener.names=CONTROLLER\n\
             listener.security.protocol.map=CONTROLLER:PLAINTEXT,{protocol}:{protocol}\n\
             controller.quorum.voters=1@127.0.0.1:{controller}\n\
             log.dirs={}\n\
             offsets.topic.replication.factor=1\noffsets.topic.num.partitions=4\n\
             transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n\
             transaction.state.log.num.partitions=4\nshare.coordinator.state.topic.replication.factor=1\n\
             share.coordinator.state.topic.min.isr=1\ngroup.initial.rebalance.delay.ms=0\n\
             log.retention.ms=-1\n",
            self.dir.join("data").display()
        );
        if let Some(SaslUser { name, password }) = self.options.sasl {
            write!(
                text,
                "sasl.enabled.mechanisms=PLAIN\nsasl.mechanism.inter.broker.protocol=PLAIN\n\
                 listener.name.sasl_plaintext.plain.sasl.jaas.config=\
                 org.apache.kafka.common.security.plain.PlainLoginModule required username=\"{name}\" \
                 password=\"{password}\" user_{name}=\"{password}\";\n"
            )?;
        }
        for (name, value) in &self.options.properties {
            writeln!(text, "{name}={value}")?;
        }
        fs::write(self.configuration(), text).context("cannot write server.properties")
    }

    /// Makes the folder of the data, unless it is there.
    fn format(&self) -> anyhow::Result<()> {
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

    /// Starts it and waits until it is ready; false when it has ended instead.
    fn launch(&mut self) -> anyhow::Result<bool> {
        let path = self.log();
        let log = File::create(&path).context("cannot write the log of Kafka")?;
        let mut command = self.java("kafka.Kafka");
        command.arg(self.configuration()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().context("cannot start java")?;
        let guard = if self.options.temporary { Guard::of_both(child.id(), &self.dir) } else { Guard::of(child.id()) }?;
        let (child, _) = self.child.insert((child, guard));
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            if child.try_wait()?.is_some() {
                if let Some((_, guard)) = self.child.take() {
                    guard.leave()?;
                }
                return Ok(false);
            }
            let said = fs::read_to_string(&path).unwrap_or_default();
            if said.contains("Kafka Server started") {
                return Ok(true);
            }
            std::thread::sleep(LOOK_EVERY);
        }
        bail!("Kafka was not ready after {} s; it said:\n{}", PATIENCE.as_secs(), self.said())
    }

    fn java(&self, main: &str) -> Command {
        let mut command = Command::new("java");
        // Its own folder, so that nothing is written elsewhere.
        command.current_dir(&self.dir).stdin(Stdio::null());
        command.args(["-Xmx512m", "-XX:+UseSerialGC", "-cp"]);
        command.arg(self.libraries.join("*")).arg(main);
        command
    }

    fn log(&self) -> PathBuf {
        self.dir.join("server.log")
    }

    /// The end of its log.
    fn said(&self) -> String {
        let said = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = said.lines().rev().take(40).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for KafkaServer {
    fn drop(&mut self) {
        // Nobody is left to hear of a failure.
        drop(self.kill());
        if self.options.temporary {
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
