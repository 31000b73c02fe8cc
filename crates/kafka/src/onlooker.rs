//! Where a group stands, for somebody who looks on.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::BaseConsumer;

use crate::aside::Aside;
use crate::catalog::partitions_of;
use crate::context::Context;
use crate::error::KafkaError;
use crate::query;
use crate::settings::{KafkaSettings, Role};

/// Asks where a group stands in a topic, again and again, without being a member of it.
pub struct Onlooker {
    consumer: Aside<BaseConsumer<Context>>,
    brokers: String,
    topic: String,
    partitions: Vec<u32>,
}

impl Onlooker {
    /// Looks at `group` and `topic`.
    ///
    /// # Errors
    /// When librdkafka does not take the settings, there is no such topic, or brokers do not answer.
    pub async fn new(settings: &KafkaSettings, group: &str, topic: &str) -> Result<Self, KafkaError> {
        let partitions = (0..partitions_of(settings, topic).await?).collect();
        let client = settings.client(&Role::Onlooker(group))?;
        let consumer = Aside::new(client.create_with_context(Context::new()).map_err(KafkaError::of_setup)?);
        Ok(Self { consumer, brokers: settings.brokers.clone(), topic: topic.to_owned(), partitions })
    }

    /// All partitions of the topic.
    #[must_use]
    pub fn partitions(&self) -> &[u32] {
        &self.partitions
    }

    /// The committed offset of each partition that has one.
    ///
    /// # Errors
    /// When brokers do not answer in a few seconds.
    pub async fn committed(&self) -> Result<BTreeMap<u32, u64>, KafkaError> {
        let (consumer, topic, partitions) = (self.consumer.clone(), self.topic.clone(), self.partitions.clone());
        let ask = move || {
            // Serves what the client has to say.
            while consumer.poll(Duration::ZERO).is_some() {}
            query::committed(&consumer, &topic, &partitions)
        };
        let asked = tokio::task::spawn_blocking(ask).await.map_err(|_| KafkaError::Closed)?;
        asked.map_err(|source| KafkaError::of(&self.brokers, "ask for committed offsets", None, source))
    }
}

impl std::fmt::Debug for Onlooker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Onlooker").field("topic", &self.topic).finish_non_exhaustive()
    }
}
