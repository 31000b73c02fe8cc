//! The topics that services need: what they have to be like, and making them.

mod check;

pub(crate) use check::miscounted;

use std::collections::BTreeMap;
use std::time::Duration;

use pulse_core::names::{PARTITIONS, TOPIC_ANOMALIES, dead_letter_topic, state_topic};
use rdkafka::admin::{NewTopic, TopicReplication};

use crate::admin::Admin;
use crate::catalog::{MAX_MESSAGE_BYTES, partitions_of, partitions_of_new};
use crate::error::KafkaError;
use crate::settings::KafkaSettings;

/// An event of a mebibyte still fits with what an anomaly or a dead letter adds to it.
const LARGE: &str = "4194304";
/// Retention goes by when a record was appended: one of an old event is not old.
const BY_APPEND: (&str, &str) = ("message.timestamp.type", "LogAppendTime");
/// What is read of a state topic is little more than what stands in it: segments are small and closed within the hour, for what is
/// still being written is not compacted, and they are compacted as soon as a tenth is out of date, and within the hour. By default
/// a gibibyte or a week of it would be read by whoever takes a partition over.
const COMPACT: [(&str, &str); 5] = [
    ("cleanup.policy", "compact"),
    ("segment.bytes", "16777216"),
    ("segment.ms", "3600000"),
    ("min.cleanable.dirty.ratio", "0.1"),
    ("max.compaction.lag.ms", "3600000"),
];
/// How long a new topic may take to be known to the brokers.
pub const SPREADING: Duration = Duration::from_secs(30);

/// A topic and what it has to be like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its name.
    pub name: String,
    /// Its partitions, where it is made.
    pub partitions: u32,
    /// Whether one that exists has to have that many. Where it has fewer, it gets more.
    pub co_partitioned: bool,
    /// Copies of each partition, where it is made; none leaves that to the brokers.
    pub replication: Option<u16>,
    /// Settings. Of one that exists, `cleanup.policy` has to be the same, and `max.message.bytes` at least as large.
    pub configs: BTreeMap<String, String>,
}

impl TopicSpec {
    fn new(name: String, partitions: u32, replication: Option<u16>, configs: &[(&str, &str)]) -> Self {
        let configs = configs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { name, partitions, co_partitioned: false, replication, configs }
    }

    /// The input topic `name`.
    #[must_use]
    pub fn input(name: &str, partitions: u32, replication: Option<u16>) -> Self {
        Self::new(name.to_owned(), partitions, replication, &[])
    }

    /// The topic of anomalies.
    #[must_use]
    pub fn anomalies(replication: Option<u16>) -> Self {
        let configs = [(MAX_MESSAGE_BYTES, LARGE), BY_APPEND];
        Self::new(TOPIC_ANOMALIES.to_owned(), PARTITIONS, replication, &configs)
    }

    /// The topic of dead letters of `topic`.
    #[must_use]
    pub fn dead_letters(topic: &str, partitions: u32, replication: Option<u16>) -> Self {
        Self::new(dead_letter_topic(topic), partitions, replication, &[(MAX_MESSAGE_BYTES, LARGE), BY_APPEND])
    }

    /// The topic of the state of `use_case`, whose input has `partitions` partitions.
    #[must_use]
    pub fn state(use_case: &str, partitions: u32, replication: Option<u16>) -> Self {
        let configs = [&COMPACT[..], &[(MAX_MESSAGE_BYTES, LARGE)]].concat();
        Self { co_partitioned: true, ..Self::new(state_topic(use_case), partitions, replication, &configs) }
    }
}

/// Makes those of `topics` that do not exist, and adds partitions, if `create`; checks the others.
///
/// # Errors
/// When one is missing and may not be made, or is not as it has to be. The error says what to do.
pub async fn ensure_topics(settings: &KafkaSettings, topics: &[TopicSpec], create: bool) -> Result<(), KafkaError> {
    let admin = Admin::new(settings)?;
    for topic in topics {
        match partitions_of(settings, &topic.name).await {
            Ok(partitions) if create && topic.co_partitioned && partitions < topic.partitions => {
                grow(&admin, &topic.name, partitions, topic.partitions).await?;
                check::check(&admin, topic, topic.partitions).await?;
            }
            Ok(partitions) => check::check(&admin, topic, partitions).await?,
            Err(KafkaError::UnknownTopic { .. }) if create => {
                make(&admin, settings, topic).await?;
                partitions_of_new(settings, &topic.name, SPREADING).await?;
            }
            Err(KafkaError::UnknownTopic { .. }) => {
                let reason = "it does not exist, and kafka.create_topics is off".to_owned();
                return Err(cannot_create(settings, topic, reason));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Gives `topic` as many partitions as the input has got. What stands in those that there are stays where it is.
pub(crate) async fn grow(admin: &Admin, topic: &str, found: u32, wanted: u32) -> Result<(), KafkaError> {
    admin.grow(topic, wanted).await?.map_err(|_| check::miscounted(topic, found, wanted))?;
    tracing::info!(topic, partitions = wanted, "the input has got more partitions, and so has this topic now");
    Ok(())
}

async fn make(admin: &Admin, settings: &KafkaSettings, topic: &TopicSpec) -> Result<(), KafkaError> {
    // By protocol −1 leaves it to the brokers.
    let copies = topic.replication.map_or(-1, i32::from);
    let partitions = i32::try_from(topic.partitions).unwrap_or(i32::MAX);
    let mut new = NewTopic::new(&topic.name, partitions, TopicReplication::Fixed(copies));
    for (name, value) in &topic.configs {
        new = new.set(name, value);
    }
    admin.create(&new).await?.map_err(|code| cannot_create(settings, topic, code.to_string()))?;
    tracing::info!(topic = topic.name, partitions, "topic created");
    Ok(())
}

fn cannot_create(settings: &KafkaSettings, topic: &TopicSpec, reason: String) -> KafkaError {
    KafkaError::CannotCreate { topic: topic.name.clone(), reason, command: command(&settings.brokers, topic) }
}

/// The command that creates `topic`.
fn command(brokers: &str, topic: &TopicSpec) -> String {
    let TopicSpec { name, partitions, replication, configs, .. } = topic;
    let mut command =
        format!("kafka-topics.sh --bootstrap-server {brokers} --create --topic {name} --partitions {partitions}");
    if let Some(copies) = replication {
        command.push_str(&format!(" --replication-factor {copies}"));
    }
    for (name, value) in configs {
        command.push_str(&format!(" --config {name}={value}"));
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_creates_the_topic() {
        let state = TopicSpec::state("nyc_taxi", 12, Some(3));
        assert_eq!(
            command("a:1,b:2", &state),
            "kafka-topics.sh --bootstrap-server a:1,b:2 --create --topic pulse.nyc_taxi.state --partitions 12 \
             --replication-factor 3 --config cleanup.policy=compact --config max.compaction.lag.ms=3600000 \
             --config max.message.bytes=4194304 --config min.cleanable.dirty.ratio=0.1 --config segment.bytes=16777216 \
             --config segment.ms=3600000"
        );
        assert!(!command("a:1", &TopicSpec::input("events", 3, None)).contains("replication"));
    }
}
