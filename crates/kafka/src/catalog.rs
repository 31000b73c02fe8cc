//! What is known of topics: how many partitions they have, and how large their records may be.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pulse_core::NewRecord;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{IsError as _, KafkaError as Native};
use tokio::sync::OnceCell;

use crate::admin::Admin;
use crate::context::Context;
use crate::error::{KafkaError, is_unknown_topic};
use crate::query::PATIENCE;
use crate::settings::{KafkaSettings, Role, TOO_LARGE_FOR_ANY};

/// The setting of a topic that limits its records.
pub(crate) const MAX_MESSAGE_BYTES: &str = "max.message.bytes";
/// How often brokers are asked for a topic that they do not know yet.
const ASK: Duration = Duration::from_millis(50);
/// How long a broker may take to learn of a topic that others know.
const LEARNING: Duration = Duration::from_secs(2);
/// What a batch of one record adds to the bytes of its key, value and headers, at the most.
pub(crate) const OVERHEAD: usize = 128;

/// A topic.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Topic {
    /// Its partitions.
    pub(crate) partitions: u32,
    /// Bytes of a record at the most.
    pub(crate) limit: usize,
}

/// Knows topics, and asks the brokers about those that it does not know.
pub(crate) struct Catalog {
    settings: KafkaSettings,
    /// An empty one is being asked for.
    known: Mutex<HashMap<Arc<str>, Arc<OnceCell<Topic>>>>,
}

impl Catalog {
    pub(crate) fn new(settings: &KafkaSettings) -> Self {
        Self { settings: settings.clone(), known: Mutex::default() }
    }

    /// Sees to it that `records` can be appended, but for what may happen to the brokers.
    ///
    /// # Errors
    /// When one of them can never be: the error names it.
    pub(crate) async fn check(&self, records: &[NewRecord]) -> Result<(), KafkaError> {
        let mut last: Option<(&Arc<str>, Topic)> = None;
        for record in records {
            let topic = match last {
                Some((name, topic)) if *name == record.topic => topic,
                _ => self.topic(&record.topic).await?,
            };
            last = Some((&record.topic, topic));
            fits(record, topic)?;
        }
        Ok(())
    }

    /// Forgets a topic, which is not what it was.
    pub(crate) fn forget(&self, topic: &str) {
        self.known().remove(topic);
    }

    /// What is known of `name`. Who wants to know while it is being asked for waits for that answer.
    pub(crate) async fn topic(&self, name: &Arc<str>) -> Result<Topic, KafkaError> {
        let known = Arc::clone(self.known().entry(Arc::clone(name)).or_default());
        known.get_or_try_init(|| self.ask(name)).await.copied()
    }

    async fn ask(&self, name: &str) -> Result<Topic, KafkaError> {
        let partitions = partitions_of_new(&self.settings, name, LEARNING).await?;
        let limit = self.limit(name).await?;
        Ok(Topic { partitions, limit })
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<OnceCell<Topic>>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of `name`, asked anew where that has no `partition`: it may have got more.
    pub(crate) async fn topic_with(&self, name: &Arc<str>, partition: u32) -> Result<Topic, KafkaError> {
        let known = self.topic(name).await?;
        if partition < known.partitions {
            return Ok(known);
        }
        self.forget(name);
        self.topic(name).await
    }

    /// Asks how large records of `topic` may be. Who may not ask learns it when a broker refuses one.
    async fn limit(&self, topic: &str) -> Result<usize, KafkaError> {
        let settings = Admin::new(&self.settings)?.settings_of(topic).await?.unwrap_or_default();
        let limit = settings.into_iter().find(|(name, _)| name == MAX_MESSAGE_BYTES);
        Ok(limit.and_then(|(_, value)| value.parse().ok()).unwrap_or(TOO_LARGE_FOR_ANY).min(TOO_LARGE_FOR_ANY))
    }
}

impl std::fmt::Debug for Catalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Catalog").field("known", &self.known).finish_non_exhaustive()
    }
}

/// How many partitions `topic` has.
///
/// # Errors
/// When it does not exist, or brokers do not answer.
pub async fn partitions_of(settings: &KafkaSettings, topic: &str) -> Result<u32, KafkaError> {
    let client = settings.client(&Role::Lookup)?;
    // Made to ask once: a client that nobody polls would keep what it has to say.
    let consumer: BaseConsumer<Context> = client.create_with_context(Context::new()).map_err(KafkaError::of_setup)?;
    let (brokers, topic) = (settings.brokers.clone(), topic.to_owned());
    let count = move || partitions(&consumer, &brokers, &topic);
    tokio::task::spawn_blocking(count).await.map_err(|_| KafkaError::Closed)?
}

/// As [`partitions_of`], for a topic that was just made, perhaps: brokers learn of it one after another, and the one that is asked
/// may be the last. That there is none is believed after `patience`.
///
/// # Errors
/// As [`partitions_of`].
pub async fn partitions_of_new(settings: &KafkaSettings, topic: &str, patience: Duration) -> Result<u32, KafkaError> {
    let begun = Instant::now();
    loop {
        match partitions_of(settings, topic).await {
            Err(KafkaError::UnknownTopic { .. }) if begun.elapsed() < patience => tokio::time::sleep(ASK).await,
            result => return result,
        }
    }
}

/// Asks how many partitions `topic` has.
pub(crate) fn partitions<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    brokers: &str,
    topic: &str,
) -> Result<u32, KafkaError> {
    let failed = |source| KafkaError::of(brokers, format!("ask for topic {topic:?}"), Some(topic), source);
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).map_err(failed)?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    let unknown = || KafkaError::UnknownTopic { topic: topic.to_owned() };
    let found = found.ok_or_else(unknown)?;
    if let Some(error) = found.error().filter(|error| error.is_error()) {
        let code = error.into();
        return Err(if is_unknown_topic(code) { unknown() } else { failed(Native::MetadataFetch(code)) });
    }
    match u32::try_from(found.partitions().len()) {
        Ok(count @ 1..) => Ok(count),
        _ => Err(unknown()),
    }
}

fn fits(record: &NewRecord, topic: Topic) -> Result<(), KafkaError> {
    if let Some(partition) = record.partition.filter(|&partition| partition >= topic.partitions) {
        return Err(KafkaError::NoSuchPartition { topic: record.topic.to_string(), partition });
    }
    let bytes = record.encoded_bytes() + OVERHEAD;
    if bytes > topic.limit {
        return Err(KafkaError::TooLarge { topic: record.topic.to_string(), bytes, limit: topic.limit });
    }
    Ok(())
}
