//! The [`EventProducer`]: idempotent, and patient with brokers that are away.

mod deliveries;
mod last;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use pulse_core::ports::EventProducer;
use pulse_core::{NewRecord, Record};
use rdkafka::error::{KafkaError as Native, RDKafkaErrorCode as Code};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord};
use rdkafka::util::IntoOpaque;

use crate::catalog::Catalog;
use crate::context::Link;
use crate::error::{KafkaError, is_unknown_topic};
use crate::settings::{KafkaSettings, Role};

use deliveries::{Awaited, Deliveries};

/// How often it is said that brokers are still waited for.
const REMIND: Duration = Duration::from_secs(10);
/// How often a producer's thread looks whether it is to end.
const LOOK: Duration = Duration::from_millis(100);

/// Writes into topics.
///
/// A broker that is away is waited for without end; [`link`](Self::link) shows it. When a future of
/// [`append`](EventProducer::append) is dropped, what was handed to librdkafka is still sent, before anything appended later.
#[derive(Debug)]
pub struct KafkaProducer {
    settings: KafkaSettings,
    catalog: Catalog,
    link: Link,
    /// None after it has failed for good.
    client: Option<Client>,
}

impl KafkaProducer {
    /// A producer. Whether brokers answer is seen at the first append.
    ///
    /// # Errors
    /// When librdkafka does not take the settings.
    pub fn new(settings: &KafkaSettings) -> Result<Self, KafkaError> {
        let link = Link::new();
        let client = Client::start(settings, &link)?;
        Ok(Self { settings: settings.clone(), catalog: Catalog::new(settings), link, client: Some(client) })
    }

    /// Whether brokers are connected.
    #[must_use]
    pub fn link(&self) -> Link {
        self.link.clone()
    }

    /// Hands records to librdkafka, waiting where it has no room, and then for all of them to be acknowledged.
    async fn send(client: &Client, records: &[NewRecord]) -> Result<(), Native> {
        let awaited = Arc::new(Awaited::default());
        for record in records {
            loop {
                // Asked for before it is needed, so that no delivery in between is missed.
                let room = client.deliveries().room();
                match client.producer.send(message(record, Arc::clone(&awaited))) {
                    Ok(()) => break awaited.sent(),
                    Err((Native::MessageProduction(Code::QueueFull), _)) => room.await,
                    Err((error, _)) => return Err(error),
                }
            }
        }
        let mut reminder = tokio::time::interval(REMIND);
        reminder.reset();
        loop {
            tokio::select! {
                result = awaited.all() => return result,
                _ = reminder.tick() => {
                    let records = awaited.outstanding();
                    tracing::warn!(records, connected = client.link.is_up(), "brokers have not acknowledged records yet: waiting");
                }
            }
        }
    }

    fn explain(&mut self, records: &[NewRecord], error: Native) -> KafkaError {
        match error.rdkafka_error_code() {
            Some(Code::MessageSizeTooLarge) => {
                let largest = records.iter().max_by_key(|record| record.payload.len());
                let (topic, bytes) = largest.map_or(("", 0), |record| (&*record.topic, record.payload.len()));
                self.catalog.forget(topic);
                KafkaError::TooLarge { topic: topic.to_owned(), bytes, limit: bytes }
            }
            Some(code) if is_unknown_topic(code) => {
                records.iter().for_each(|record| self.catalog.forget(&record.topic));
                KafkaError::Failed { what: "append records".to_owned(), source: error }
            }
            _ => {
                // Most of what is left spoils an idempotent producer; a new one costs little.
                self.client = None;
                KafkaError::of(&self.settings.brokers, "append records", None, error)
            }
        }
    }
}

impl EventProducer for KafkaProducer {
    type Error = KafkaError;

    async fn append(&mut self, records: Vec<NewRecord>) -> Result<(), KafkaError> {
        self.catalog.check(&records).await?;
        if self.client.is_none() {
            let client = Client::start(&self.settings, &self.link)?;
            self.client = Some(client);
        }
        let client = self.client.as_ref().ok_or(KafkaError::Closed)?;
        match Self::send(client, &records).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.explain(&records, error)),
        }
    }

    async fn partitions(&mut self, topic: &str) -> Result<u32, KafkaError> {
        // Asked anew: a topic may get more.
        self.catalog.forget(topic);
        Ok(self.catalog.topic(&Arc::from(topic)).await?.partitions)
    }

    async fn last_records(&mut self, topic: &str) -> Result<Vec<Record>, KafkaError> {
        let partitions = self.partitions(topic).await?;
        let (settings, topic) = (self.settings.clone(), topic.to_owned());
        let read = move || last::records(&settings, &topic, partitions);
        tokio::task::spawn_blocking(read).await.map_err(|_| KafkaError::Closed)?
    }
}

/// A record as librdkafka takes it.
pub(crate) fn message<O: IntoOpaque>(record: &NewRecord, opaque: O) -> BaseRecord<'_, [u8], [u8], O> {
    let mut message = BaseRecord::with_opaque_to(&record.topic, opaque)
        .payload(&record.payload[..])
        // To librdkafka 0 means now, and there is nothing before it.
        .timestamp(record.timestamp.max(1));
    message.partition = record.partition.map(crate::query::native);
    message.key = record.key.as_deref();
    if !record.headers.encoded().is_empty() {
        let headers = record.headers.iter().map(|(key, value)| Header { key, value: Some(value) });
        message.headers = Some(headers.fold(OwnedHeaders::new(), OwnedHeaders::insert));
    }
    message
}

/// A producer of librdkafka and the thread that polls it.
struct Client {
    producer: Arc<BaseProducer<Deliveries>>,
    link: Link,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Client {
    /// One whose connection shows by `link`.
    fn start(settings: &KafkaSettings, link: &Link) -> Result<Self, KafkaError> {
        let deliveries = Deliveries::new(link.clone());
        let producer = settings.client(&Role::Producer)?.create_with_context(deliveries);
        let producer: Arc<BaseProducer<Deliveries>> = Arc::new(producer.map_err(KafkaError::of_setup)?);
        let stop = Arc::new(AtomicBool::new(false));
        let (polled, stopped) = (Arc::clone(&producer), Arc::clone(&stop));
        let run = move || {
            while !stopped.load(Ordering::Relaxed) {
                polled.poll(LOOK);
            }
        };
        let thread = std::thread::Builder::new().name("kafka-producer".to_owned()).spawn(run);
        let thread = Some(thread.map_err(|error| KafkaError::Client { reason: error.to_string() })?);
        Ok(Self { producer, link: link.clone(), stop, thread })
    }

    fn deliveries(&self) -> &Deliveries {
        rdkafka::producer::Producer::client(&*self.producer).context()
    }
}

impl Drop for Client {
    /// What waits to be sent is given up; who waited for it has been dropped before.
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Whichever lets go of the producer last ends it.
        drop(self.thread.take());
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("link", &self.link).finish_non_exhaustive()
    }
}
