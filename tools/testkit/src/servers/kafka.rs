//! A real Kafka for tests: one node that is broker and controller, or a cluster of three such.

mod cluster;
mod libraries;
mod node;

use std::fmt::Write as _;
use std::path::Path;

use anyhow::bail;

pub use cluster::{BROKERS, KafkaCluster};
pub use libraries::{KAFKA_LIBS_ENV, ensure_kafka_libs, kafka_libs_folder};

use super::free_port;
use node::Node;

/// The environment variable with `host:port` of a running broker, on which every test makes topics of its own.
pub const KAFKA_ENV: &str = "PULSE_TEST_KAFKA";

/// Free ports are tried so often: between finding two and using them, somebody else may take one.
const PORTS: u32 = 5;
/// Its heap, in megabytes.
const HEAP: u32 = 512;

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
    node: Node,
    options: KafkaOptions,
    /// Of the broker and of the controller.
    ports: [u16; 2],
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
        let node = Node::new(dir, HEAP, options.temporary)?;
        let mut server = Self { node, options, ports: [0, 0] };
        for _ in 0..PORTS {
            server.ports = [free_port()?, free_port()?];
            server.node.configure(&server.properties()?)?;
            if server.launch()? {
                return Ok(server);
            }
        }
        bail!("Kafka does not start; it said:\n{}", server.node.said())
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
        self.node.stop()
    }

    /// Ends it as a crash does.
    ///
    /// # Errors
    /// When it does not end.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.node.kill()
    }

    /// Lets nothing happen in it until [`resume`](Self::resume): to clients, it is as if the network were gone.
    ///
    /// # Errors
    /// When it does not run.
    pub fn suspend(&self) -> anyhow::Result<()> {
        self.node.suspend()
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// When it does not run.
    pub fn resume(&self) -> anyhow::Result<()> {
        self.node.resume()
    }

    /// Starts it again, on the same port with the same data, and stops it before that, if it runs.
    ///
    /// # Errors
    /// When it does not start; the text has what it said.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.stop()?;
        if !self.launch()? {
            bail!("Kafka does not start again; it said:\n{}", self.node.said());
        }
        Ok(())
    }

    /// Starts it and waits until it is ready; false when it has ended instead.
    fn launch(&mut self) -> anyhow::Result<bool> {
        self.node.spawn()?;
        self.node.await_ready()
    }

    fn properties(&self) -> anyhow::Result<String> {
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
            self.node.dir().join("data").display()
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
        Ok(text)
    }
}
