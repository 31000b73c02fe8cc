//! The contract suites, run on Kafka.

use pulse_kafka::{KafkaCommitter, KafkaProducer, KafkaReader, KafkaSource, StartAt};
use pulse_testkit::{LogBackend, log_contract};

use crate::broker::{Broker, Prefixed};

struct Kafka(Broker);

impl Kafka {
    async fn fresh() -> anyhow::Result<Self> {
        Broker::shared().await.map(Self)
    }
}

/// The suites' names stand for topics, groups and ids of their own in each test: a prefix makes them so.
impl LogBackend for Kafka {
    type Producer = Prefixed<KafkaProducer>;
    type Source = Prefixed<KafkaSource>;
    type Committer = Prefixed<KafkaCommitter>;
    type Reader = KafkaReader;

    async fn create_topic(&self, topic: &str, partitions: u32) -> anyhow::Result<()> {
        self.0.create_topic(topic, partitions).await
    }

    fn producer(&self) -> Self::Producer {
        self.0.producer()
    }

    fn source(&self, group: &str, topic: &str) -> Self::Source {
        self.0.prefixed(self.0.source(group, topic))
    }

    fn committer(&self, group: &str, topic: &str, state_topic: &str) -> Self::Committer {
        self.0.create_state_topic_now(topic, state_topic).expect("a state topic");
        let [group, topic, state_topic] = [group, topic, state_topic].map(|name| self.0.name(name));
        let committer = KafkaCommitter::new(&self.0.settings, &group, &topic, &state_topic, StartAt::Earliest);
        self.0.prefixed(committer.expect("settings"))
    }

    fn reader(&self, topic: &str) -> Self::Reader {
        self.0.reader(topic)
    }

    fn patient_reader(&self, topic: &str) -> Self::Reader {
        self.0.reader(topic).patient()
    }

    async fn reopen(self) -> anyhow::Result<Self> {
        // Every client is dropped, and the broker keeps what is durable. What a broker's restart does, other tests see.
        Ok(self)
    }
}

log_contract!(Kafka::fresh());
