//! Three brokers, each of which is a controller, too; any one of them may be away.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, bail};

use super::node::Node;
use super::{PORTS, free_port};

/// How many brokers a cluster has.
pub const BROKERS: usize = 3;
/// Of each broker, in megabytes.
const HEAP: u32 = 384;

/// Ports of a broker.
#[derive(Debug, Clone, Copy)]
struct Ports {
    clients: u16,
    brokers: u16,
    controller: u16,
}

/// Three brokers of one's own. Every partition has three copies, of which two have to have a record before it counts. They end
/// with the value, and with the process, however that ends.
#[derive(Debug)]
pub struct KafkaCluster {
    nodes: [Mutex<Node>; BROKERS],
    ports: [Ports; BROKERS],
    /// Where clients are told to connect to.
    doors: [u16; BROKERS],
}

impl KafkaCluster {
    /// Makes a new cluster in `dir` and starts it. It tells clients to connect to `doors`, from which somebody has to lead
    /// them to [`ports`](Self::ports).
    ///
    /// # Errors
    /// When Kafka or Java are missing, or it does not start; the text has what it said.
    pub fn start(dir: &Path, doors: [u16; BROKERS]) -> anyhow::Result<Self> {
        let node = |number: usize| Node::new(&dir.join(format!("broker-{number}")), HEAP, false).map(Mutex::new);
        let nodes = [node(0)?, node(1)?, node(2)?];
        let ports = || -> anyhow::Result<_> {
            Ok(Ports { clients: free_port()?, brokers: free_port()?, controller: free_port()? })
        };
        for _ in 0..PORTS {
            let ports = [ports()?, ports()?, ports()?];
            each(&nodes, |number, node| node.configure(&properties(node.dir(), number, &ports, doors)))?;
            // Each waits for the others.
            each(&nodes, |_, node| node.spawn())?;
            if each(&nodes, |_, node| node.await_ready())?.into_iter().all(|is_ready| is_ready) {
                return Ok(Self { nodes, ports, doors });
            }
            each(&nodes, |_, node| node.kill())?;
        }
        bail!("Kafka does not start; its first broker said:\n{}", lock(&nodes[0]).said())
    }

    /// Where clients connect to, by the doors.
    #[must_use]
    pub fn brokers(&self) -> String {
        self.doors.map(|door| format!("127.0.0.1:{door}")).join(",")
    }

    /// The ports behind the doors.
    #[must_use]
    pub fn ports(&self) -> [u16; BROKERS] {
        self.ports.map(|ports| ports.clients)
    }

    /// Ends a broker as a crash does.
    ///
    /// # Errors
    /// When it does not end.
    pub fn kill(&self, broker: usize) -> anyhow::Result<()> {
        self.node(broker)?.kill()
    }

    /// Lets nothing happen in a broker until [`resume`](Self::resume).
    ///
    /// # Errors
    /// When it does not run.
    pub fn suspend(&self, broker: usize) -> anyhow::Result<()> {
        self.node(broker)?.suspend()
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// When it does not run.
    pub fn resume(&self, broker: usize) -> anyhow::Result<()> {
        self.node(broker)?.resume()
    }

    /// Starts a broker that was killed, with the same data, and waits until it is ready.
    ///
    /// # Errors
    /// When it does not start; the text has what it said.
    pub fn start_again(&self, broker: usize) -> anyhow::Result<()> {
        let mut node = self.node(broker)?;
        if node.is_running() {
            return Ok(());
        }
        node.spawn()?;
        if !node.await_ready()? {
            bail!("broker {broker} does not start again; it said:\n{}", node.said());
        }
        Ok(())
    }

    /// The logs of all starts of a broker.
    ///
    /// # Errors
    /// When there is no such broker.
    pub fn logs(&self, broker: usize) -> anyhow::Result<Vec<PathBuf>> {
        Ok(self.node(broker)?.logs())
    }

    fn node(&self, broker: usize) -> anyhow::Result<MutexGuard<'_, Node>> {
        self.nodes.get(broker).map(lock).with_context(|| format!("there is no broker {broker}"))
    }
}

fn lock(node: &Mutex<Node>) -> MutexGuard<'_, Node> {
    node.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Does something with all nodes at once.
fn each<T: Send>(
    nodes: &[Mutex<Node>; BROKERS],
    act: impl Fn(usize, &mut Node) -> anyhow::Result<T> + Sync,
) -> anyhow::Result<Vec<T>> {
    let act = &act;
    std::thread::scope(|scope| {
        let start = |(number, node)| scope.spawn(move || act(number, &mut lock(node)));
        let threads: Vec<_> = nodes.iter().enumerate().map(start).collect();
        let joined = threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| bail!("a thread panicked")));
        joined.collect()
    })
}

fn properties(dir: &Path, number: usize, all: &[Ports; BROKERS], doors: [u16; BROKERS]) -> String {
    let Ports { clients, brokers, controller } = all[number];
    let voters: Vec<String> =
        all.iter().enumerate().map(|(number, ports)| format!("{number}@127.0.0.1:{}", ports.controller)).collect();
    // Times of brokers are those that a user has who changes nothing. Records of tests have times of their own, at which
    // retention would go for them.
    format!(
        "process.roles=broker,controller\nnode.id={number}\n\
         listeners=CLIENTS://127.0.0.1:{clients},BROKERS://127.0.0.1:{brokers},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=CLIENTS://127.0.0.1:{},BROKERS://127.0.0.1:{brokers}\n\
         inter.broker.listener.name=BROKERS\ncontroller.listener.names=CONTROLLER\n\
         listener.security.protocol.map=CLIENTS:PLAINTEXT,BROKERS:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
         controller.quorum.voters={}\nlog.dirs={}\n\
         default.replication.factor=3\nmin.insync.replicas=2\n\
         offsets.topic.replication.factor=3\noffsets.topic.num.partitions=4\n\
         transaction.state.log.replication.factor=3\ntransaction.state.log.min.isr=2\n\
         transaction.state.log.num.partitions=4\ngroup.initial.rebalance.delay.ms=0\nlog.retention.ms=-1\n",
        doors[number],
        voters.join(","),
        dir.join("data").display()
    )
}
