//! Asking for settings of topics, and making topics.

use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, ResourceSpecifier};
use rdkafka::error::{KafkaError as Native, RDKafkaErrorCode as Code};

use crate::aside::Aside;
use crate::context::Context;
use crate::error::{KafkaError, is_forbidden};
use crate::query::PATIENCE;
use crate::settings::{KafkaSettings, Role};

/// A client for administration, made for a few questions.
pub(crate) struct Admin {
    client: Aside<AdminClient<Context>>,
    brokers: String,
}

impl Admin {
    pub(crate) fn new(settings: &KafkaSettings) -> Result<Self, KafkaError> {
        let client = settings.client(&Role::Lookup)?.create_with_context(Context::new());
        Ok(Self { client: Aside::new(client.map_err(KafkaError::of_setup)?), brokers: settings.brokers.clone() })
    }

    /// The settings of `topic`; none where we may not ask.
    pub(crate) async fn settings_of(&self, topic: &str) -> Result<Option<Vec<(String, String)>>, KafkaError> {
        let what = || format!("ask for the settings of topic {topic:?}");
        let failed = |source| KafkaError::of(&self.brokers, what(), Some(topic), source);
        let options = AdminOptions::new().request_timeout(Some(PATIENCE));
        let answer = self.client.describe_configs([&ResourceSpecifier::Topic(topic)], &options).await;
        match answer.map_err(failed)?.into_iter().next() {
            Some(Ok(resource)) => {
                let entries = resource.entries.into_iter();
                Ok(Some(entries.filter_map(|entry| Some((entry.name, entry.value?))).collect()))
            }
            Some(Err(code)) if !is_forbidden(code) => Err(failed(Native::Global(code))),
            _ => Ok(None),
        }
    }

    /// Makes a topic, unless somebody else just did; the brokers' reason where they refuse.
    pub(crate) async fn create(&self, topic: &NewTopic<'_>) -> Result<Result<(), Code>, KafkaError> {
        let what = || format!("create topic {:?}", topic.name);
        let failed = |source| KafkaError::of(&self.brokers, what(), None, source);
        let answer = self.client.create_topics([topic], &changing()).await.map_err(failed)?;
        match answer.into_iter().next() {
            None | Some(Ok(_) | Err((_, Code::TopicAlreadyExists))) => Ok(Ok(())),
            Some(Err((_, code))) if is_final(code) => Ok(Err(code)),
            Some(Err((_, code))) => Err(failed(Native::Global(code))),
        }
    }

    /// Gives `topic` more partitions, unless somebody else just did; the brokers' reason where they refuse.
    pub(crate) async fn grow(&self, topic: &str, partitions: u32) -> Result<Result<(), Code>, KafkaError> {
        let failed = |source| KafkaError::of(&self.brokers, format!("add partitions to topic {topic:?}"), None, source);
        let more = NewPartitions::new(topic, partitions as usize);
        let answer = self.client.create_partitions([&more], &changing()).await.map_err(failed)?;
        match answer.into_iter().next() {
            // It has as many already.
            None | Some(Ok(_) | Err((_, Code::InvalidPartitions))) => Ok(Ok(())),
            Some(Err((_, code))) if is_final(code) => Ok(Err(code)),
            Some(Err((_, code))) => Err(failed(Native::Global(code))),
        }
    }
}

fn changing() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE))
}

/// Trying again changes nothing.
fn is_final(code: Code) -> bool {
    is_forbidden(code)
        || matches!(
            code,
            Code::PolicyViolation
                | Code::InvalidReplicationFactor
                | Code::InvalidPartitions
                | Code::InvalidConfig
                | Code::InvalidTopic
        )
}
