//! The [`EventSource`]: a member of a consumer group.
//!
//! A thread polls librdkafka and hands batches over through a bounded channel; see [`poller`].

mod bounds;
mod context;
mod poller;
mod reading;

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc as sync_mpsc};
use std::time::Duration;

use pulse_core::RecordBatch;
use pulse_core::ports::{EventSource, Polled};
use rdkafka::consumer::BaseConsumer;
use tokio::sync::{mpsc, oneshot};

use crate::batch::Rest;
use crate::context::{Absence, Link};
use crate::error::KafkaError;
use crate::settings::{KafkaSettings, Role};

use context::SourceContext;
use poller::{Command, Item, Poller};

/// How long a poll waits for news.
const WAIT: Duration = Duration::from_millis(100);
/// Batches that wait to be taken at the most; each has [`RECORDS`](crate::batch::RECORDS) records or
/// [`BYTES`](crate::batch::BYTES) bytes at the most, and
/// one record more.
const QUEUE: usize = 8;
/// How long leaving the group may take when a source is dropped.
const LEAVING: Duration = Duration::from_secs(3);

/// Counts records that retention dropped before they were read.
#[derive(Debug, Clone, Default)]
pub struct LostRecords(Arc<AtomicU64>);

impl LostRecords {
    /// The number so far. Offsets are counted: holes among them count as records.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn add(&self, records: u64) {
        self.0.fetch_add(records, Ordering::Relaxed);
    }
}

/// Reads a topic as a member of a consumer group.
///
/// It joins the group at the first [`poll`](EventSource::poll), and leaves it when dropped. Positions are nothing that it
/// commits: see [`KafkaCommitter`](crate::KafkaCommitter).
pub struct KafkaSource {
    brokers: String,
    topic: Arc<str>,
    link: Link,
    lost: LostRecords,
    member: Member,
    /// The number of the last opening of each partition that is ours; none until it is opened.
    openings: HashMap<u32, Option<u64>>,
    /// Those that were revoked, and are read on.
    revoked: BTreeSet<u32>,
    last_opening: u64,
    /// Assigned partitions that were not sought yet.
    unsought: BTreeSet<u32>,
    rest: Option<Rest>,
    absence: Absence,
}

impl std::fmt::Debug for KafkaSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaSource").field("topic", &self.topic).finish_non_exhaustive()
    }
}

/// Whether the group was joined.
enum Member {
    New(Option<Box<Poller>>),
    Active(Handle),
}

/// The other side of the poller's thread.
struct Handle {
    items: mpsc::Receiver<Item>,
    commands: sync_mpsc::Sender<Command>,
    thread: std::thread::JoinHandle<()>,
    ended: sync_mpsc::Receiver<()>,
}

impl KafkaSource {
    /// A member of `group` that reads `topic`.
    ///
    /// # Errors
    /// When librdkafka does not take the settings. Whether brokers answer is seen at the first poll.
    pub fn new(settings: &KafkaSettings, group: &str, topic: &str) -> Result<Self, KafkaError> {
        let context = SourceContext::new();
        let link = context.link().clone();
        let absence = Absence::of(link.clone());
        let consumer: BaseConsumer<SourceContext> =
            settings.client(&Role::Member(group))?.create_with_context(context).map_err(KafkaError::of_setup)?;
        let lost = LostRecords::default();
        let topic: Arc<str> = Arc::from(topic);
        let poller = Poller::new(consumer, &settings.brokers, group, Arc::clone(&topic), lost.clone());
        Ok(Self {
            brokers: settings.brokers.clone(),
            topic,
            link,
            lost,
            member: Member::New(Some(Box::new(poller))),
            openings: HashMap::new(),
            revoked: BTreeSet::new(),
            last_opening: 0,
            unsought: BTreeSet::new(),
            rest: None,
            absence,
        })
    }

    /// Whether brokers are connected.
    #[must_use]
    pub fn link(&self) -> Link {
        self.link.clone()
    }

    /// Counts what retention dropped before it was read.
    #[must_use]
    pub fn lost_records(&self) -> LostRecords {
        self.lost.clone()
    }

    /// Joins the group, unless it did.
    fn join(&mut self) -> Result<&mut Handle, KafkaError> {
        if let Member::New(poller) = &mut self.member {
            let poller = poller.take().ok_or(KafkaError::Closed)?;
            self.member = Member::Active(Handle::start(*poller, &self.brokers, &self.topic)?);
        }
        match &mut self.member {
            Member::Active(handle) => Ok(handle),
            Member::New(_) => Err(KafkaError::Closed),
        }
    }

    fn open(&mut self, partition: u32, offset: Option<u64>) -> Result<(), KafkaError> {
        if !self.openings.contains_key(&partition) || self.revoked.contains(&partition) {
            return Err(KafkaError::NotAssigned { topic: self.topic.to_string(), partition });
        }
        self.last_opening += 1;
        let opening = self.last_opening;
        self.openings.insert(partition, Some(opening));
        self.unsought.remove(&partition);
        if self.rest.as_ref().is_some_and(|rest| rest.partition() == partition) {
            self.rest = None;
        }
        self.join()?.command(Command::Open { partition, offset, opening })
    }

    /// What an item means to the caller; none where it is outdated.
    fn hand_out(&mut self, item: Item, max_records: usize) -> Result<Option<Polled>, KafkaError> {
        Ok(Some(match item {
            Item::Records { opening, batch } => {
                if self.openings.get(&batch.partition) != Some(&Some(opening)) {
                    return Ok(None);
                }
                self.absence.ends();
                Polled::Records(self.cut(batch, max_records))
            }
            Item::Assigned(partitions) => {
                self.openings.extend(partitions.iter().map(|&partition| (partition, None)));
                self.revoked.retain(|partition| !partitions.contains(partition));
                self.unsought.extend(&partitions);
                Polled::Assigned(partitions)
            }
            Item::Revoked(partitions) => {
                self.unsought.retain(|partition| !partitions.contains(partition));
                self.revoked.extend(&partitions);
                Polled::Revoked(partitions)
            }
            Item::Failed(error) => return Err(error),
        }))
    }

    /// Keeps what is more than `max_records` for the next poll.
    fn cut(&mut self, batch: RecordBatch, max_records: usize) -> RecordBatch {
        if batch.records.len() <= max_records {
            return batch;
        }
        let mut rest = Rest::new(batch);
        let first = rest.take(max_records);
        self.rest = Some(rest).filter(|rest| !rest.is_empty());
        first
    }

    /// An error when brokers have been away for some time.
    fn idle(&mut self) -> Result<Polled, KafkaError> {
        if !self.absence.is_long() {
            return Ok(Polled::Idle);
        }
        Err(KafkaError::Unreachable { brokers: self.brokers.clone() })
    }
}

impl EventSource for KafkaSource {
    type Error = KafkaError;

    async fn poll(&mut self, max_records: usize) -> Result<Polled, KafkaError> {
        let max_records = max_records.max(1);
        self.join()?;
        while let Some(partition) = self.unsought.pop_first() {
            self.open(partition, None)?;
        }
        if let Some(rest) = &mut self.rest {
            let next = rest.take(max_records);
            self.rest.take_if(|rest| rest.is_empty());
            return Ok(Polled::Records(next));
        }
        let until = tokio::time::Instant::now() + WAIT;
        loop {
            let handle = self.join()?;
            let Ok(item) = tokio::time::timeout_at(until, handle.items.recv()).await else {
                return self.idle();
            };
            handle.thread.thread().unpark();
            let item = item.ok_or(KafkaError::Closed)?;
            if let Some(polled) = self.hand_out(item, max_records)? {
                return Ok(polled);
            }
        }
    }

    async fn seek(&mut self, partition: u32, offset: u64) -> Result<(), KafkaError> {
        self.open(partition, Some(offset))
    }

    async fn seek_to_beginning(&mut self, partition: u32) -> Result<(), KafkaError> {
        self.open(partition, None)
    }

    fn pause(&mut self, partitions: &[u32]) {
        for partition in partitions {
            self.unsought.remove(partition);
            // What comes of an earlier opening is dropped.
            if self.revoked.remove(partition) {
                self.openings.remove(partition);
            } else if let Some(opening) = self.openings.get_mut(partition) {
                *opening = None;
            }
        }
        self.rest.take_if(|rest| partitions.contains(&rest.partition()));
        if let Member::Active(handle) = &self.member {
            // One that has ended reads nothing.
            handle.command(Command::Close(partitions.to_vec())).unwrap_or_default();
        }
    }

    async fn leave(&mut self) -> bool {
        let Member::Active(handle) = &self.member else { return false };
        let (answer, answered) = oneshot::channel();
        handle.command(Command::Leave(answer)).is_ok() && answered.await.unwrap_or_default()
    }
}

impl Handle {
    fn start(poller: Poller, brokers: &str, topic: &str) -> Result<Self, KafkaError> {
        poller
            .subscribe()
            .map_err(|source| KafkaError::of(brokers, format!("subscribe to topic {topic:?}"), Some(topic), source))?;
        let (out, items) = mpsc::channel(QUEUE);
        let (commands, inbox) = sync_mpsc::channel();
        let (end, ended) = sync_mpsc::channel();
        let run = move || {
            poller.run(&inbox, &out);
            drop(end);
        };
        let thread = std::thread::Builder::new()
            .name("kafka-source".to_owned())
            .spawn(run)
            .map_err(|error| KafkaError::Client { reason: error.to_string() })?;
        Ok(Self { items, commands, thread, ended })
    }

    fn command(&self, command: Command) -> Result<(), KafkaError> {
        self.commands.send(command).map_err(|_| KafkaError::Closed)?;
        self.thread.thread().unpark();
        Ok(())
    }
}

impl Drop for Handle {
    /// Leaves the group, so that the others need not wait until this member is thought dead.
    fn drop(&mut self) {
        self.items.close();
        self.thread.thread().unpark();
        if self.ended.recv_timeout(LEAVING) == Err(sync_mpsc::RecvTimeoutError::Timeout) {
            tracing::warn!("the brokers have not confirmed yet that we leave the consumer group: going on");
        }
    }
}
