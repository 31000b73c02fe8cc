//! A broker, and names that no other test uses.

use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use anyhow::Context as _;
use pulse_core::ports::{Commit, Committer, EventProducer, EventSource, Polled, Restored};
use pulse_core::{NewRecord, Record, RecordBatch};
use pulse_kafka::{
    KafkaCommitter, KafkaProducer, KafkaReader, KafkaSettings, KafkaSource, StartAt, TopicSpec, ensure_topics,
    partitions_of,
};
use pulse_testkit::servers::kafka::{KAFKA_ENV, KafkaOptions, KafkaServer};

/// Where tests of this program connect to, unless they start a broker of their own.
fn shared() -> anyhow::Result<&'static str> {
    static SHARED: OnceLock<Result<(String, Option<KafkaServer>), String>> = OnceLock::new();
    let start = || {
        if let Ok(brokers) = std::env::var(KAFKA_ENV) {
            return Ok((brokers, None));
        }
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("kafka-{}", std::process::id()));
        let options = KafkaOptions { temporary: true, ..KafkaOptions::default() };
        let server = KafkaServer::start_with(&dir, options).map_err(|error| format!("{error:#}"))?;
        Ok((server.brokers(), Some(server)))
    };
    let (brokers, _) = SHARED.get_or_init(start).as_ref().map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(brokers)
}

/// A broker, with a prefix for the names of one test.
#[derive(Debug, Clone)]
pub(crate) struct Broker {
    pub(crate) settings: KafkaSettings,
    prefix: Arc<str>,
}

impl Broker {
    /// The shared one.
    pub(crate) async fn shared() -> anyhow::Result<Self> {
        let brokers = tokio::task::spawn_blocking(shared).await??;
        Ok(Self::at(brokers))
    }

    /// One's own.
    pub(crate) fn at(brokers: &str) -> Self {
        let prefix = format!("test-{:016x}-", RandomState::new().hash_one(0));
        Self { settings: KafkaSettings::new(brokers), prefix: prefix.into() }
    }

    pub(crate) fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Makes a topic that takes large records.
    pub(crate) async fn create_topic(&self, topic: &str, partitions: u32) -> anyhow::Result<()> {
        let mut spec = TopicSpec::input(&self.name(topic), partitions, None);
        // Records of tests have times of their own, at which retention would go for them.
        for (name, value) in [("max.message.bytes", "4194304"), ("retention.ms", "-1")] {
            spec.configs.insert(name.to_owned(), value.to_owned());
        }
        Ok(ensure_topics(&self.settings, &[spec], true).await?)
    }

    /// Makes the state topic for `topic`.
    pub(crate) async fn create_state_topic(&self, topic: &str, state_topic: &str) -> anyhow::Result<()> {
        let partitions = partitions_of(&self.settings, &self.name(topic)).await?;
        let spec = TopicSpec { name: self.name(state_topic), ..TopicSpec::state("any", partitions, None) };
        Ok(ensure_topics(&self.settings, &[spec], true).await?)
    }

    /// Makes the state topic for `topic`, from where nothing can be awaited.
    pub(crate) fn create_state_topic_now(&self, topic: &str, state_topic: &str) -> anyhow::Result<()> {
        let (this, topic, state_topic) = (self.clone(), topic.to_owned(), state_topic.to_owned());
        let make = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(this.create_state_topic(&topic, &state_topic))
        };
        std::thread::spawn(make).join().ok().context("a panic while a topic was made")?
    }

    pub(crate) fn producer(&self) -> Prefixed<KafkaProducer> {
        self.prefixed(KafkaProducer::new(&self.settings).expect("settings"))
    }

    pub(crate) fn source(&self, group: &str, topic: &str) -> KafkaSource {
        KafkaSource::new(&self.settings, &self.name(group), &self.name(topic)).expect("settings")
    }

    pub(crate) fn reader(&self, topic: &str) -> KafkaReader {
        KafkaReader::new(&self.settings, &self.name(topic)).expect("settings")
    }

    /// A committer, and its state topic.
    pub(crate) async fn committer(&self, group: &str, topic: &str, start: StartAt) -> Prefixed<KafkaCommitter> {
        let state_topic = format!("{topic}.{group}.state");
        self.create_state_topic(topic, &state_topic).await.expect("a state topic");
        let [group, topic, state_topic] = [group, topic, &state_topic].map(|name| self.name(name));
        let committer = KafkaCommitter::new(&self.settings, &group, &topic, &state_topic, start);
        self.prefixed(committer.expect("settings"))
    }

    pub(crate) fn prefixed<P>(&self, port: P) -> Prefixed<P> {
        Prefixed { port, broker: self.clone() }
    }

    fn rename(&self, record: NewRecord) -> NewRecord {
        NewRecord { topic: self.name(&record.topic).into(), ..record }
    }
}

/// The payloads of batches, in order.
pub(crate) fn payloads(batches: &[RecordBatch]) -> Vec<String> {
    let records = batches.iter().flat_map(|batch| &batch.records);
    records.map(|record| String::from_utf8_lossy(&record.payload).into_owned()).collect()
}

/// A port behind which the topics of records have the prefix of a test.
#[derive(Debug)]
pub(crate) struct Prefixed<P> {
    pub(crate) port: P,
    broker: Broker,
}

impl<P: EventProducer + Sync> EventProducer for Prefixed<P> {
    type Error = P::Error;

    async fn append(&mut self, records: Vec<NewRecord>) -> Result<(), P::Error> {
        let records = records.into_iter().map(|record| self.broker.rename(record)).collect();
        self.port.append(records).await
    }

    async fn partitions(&mut self, topic: &str) -> Result<u32, P::Error> {
        self.port.partitions(&self.broker.name(topic)).await
    }

    async fn last_records(&mut self, topic: &str) -> Result<Vec<Record>, P::Error> {
        self.port.last_records(&self.broker.name(topic)).await
    }
}

impl<P: EventSource> EventSource for Prefixed<P> {
    type Error = P::Error;

    async fn poll(&mut self, max_records: usize) -> Result<Polled, P::Error> {
        self.port.poll(max_records).await
    }

    async fn seek(&mut self, partition: u32, offset: u64) -> Result<(), P::Error> {
        self.port.seek(partition, offset).await
    }

    async fn seek_to_beginning(&mut self, partition: u32) -> Result<(), P::Error> {
        self.port.seek_to_beginning(partition).await
    }

    fn pause(&mut self, partitions: &[u32]) {
        self.port.pause(partitions);
    }

    async fn leave(&mut self) -> bool {
        self.port.leave().await
    }
}

impl<P: Committer> Committer for Prefixed<P> {
    const TOGETHER: bool = P::TOGETHER;
    type Error = P::Error;

    async fn restore(&self, partitions: &[u32], each: impl FnMut(u32, Result<Restored, P::Error>) + Send) {
        self.port.restore(partitions, each).await;
    }

    fn hand_over(&self, partitions: &[u32]) {
        self.port.hand_over(partitions);
    }

    fn release(&self, partitions: &[u32]) {
        self.port.release(partitions);
    }

    async fn commit(&self, commits: &[Commit]) -> Vec<Result<(), P::Error>> {
        let rename = |commit: &Commit| {
            let outputs = commit.outputs.iter().map(|record| self.broker.rename(record.clone())).collect();
            Commit { outputs, ..commit.clone() }
        };
        let commits: Vec<Commit> = commits.iter().map(rename).collect();
        self.port.commit(&commits).await
    }
}
