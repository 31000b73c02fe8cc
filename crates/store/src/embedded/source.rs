//! The [`EventSource`] of the log.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use pulse_core::RecordBatch;
use pulse_core::ports::{EventSource, Polled};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::codec::Decoder;
use crate::error::StoreError;

use super::Shared;
use super::fetch::{self, Fetched};
use super::topics::Topic;

/// How long a poll waits for news.
const WAIT: Duration = Duration::from_millis(50);
/// How often the file is asked for what other processes did: new records, and a takeover of the group.
const LOOK: Duration = Duration::from_millis(100);
/// Bytes of payloads from which a batch is handed out: records may be large, so their number alone bounds no memory.
const BATCH_BYTES: usize = 4 << 20;

/// Reads a topic as the one member of its group.
///
/// Another source of the same group and topic, in this process or another, takes over: this one then reports that its
/// partitions are revoked, and fails from then on.
#[derive(Debug)]
pub struct EmbeddedSource {
    shared: Arc<Shared>,
    group: Arc<str>,
    topic: Arc<str>,
    member: Member,
}

/// Whether a source belongs to its group.
#[derive(Debug)]
enum Member {
    New,
    Active(Reader),
    Fenced,
}

/// A source that has its partitions.
#[derive(Debug)]
struct Reader {
    topic: Arc<Topic>,
    news: watch::Receiver<()>,
    epoch: i64,
    looked: Instant,
    partitions: Vec<Reading>,
    /// The partition to serve next.
    turn: usize,
}

/// How far one partition was read.
#[derive(Debug, Default)]
struct Reading {
    /// The next offset to hand out.
    position: u64,
    /// The next offset to fetch.
    fetched: u64,
    /// The rest of a batch that was handed out in part.
    open: Option<Decoder>,
    /// Batches not decoded yet.
    waiting: VecDeque<Fetched>,
    /// Whether a seek is waited for.
    paused: bool,
    /// Whether it was sought, so that what is missing before the next record is lost.
    sought: bool,
}

impl EmbeddedSource {
    pub(super) fn new(shared: Arc<Shared>, group: &str, topic: &str) -> Self {
        Self { shared, group: Arc::from(group), topic: Arc::from(topic), member: Member::New }
    }

    /// Takes the group over.
    async fn join(&self) -> Result<Reader, StoreError> {
        let topic = self.shared.topics.get(&self.shared.db, &self.topic).await?;
        let epoch = fetch::take_lease(&self.shared.db, &self.group, &self.topic).await?;
        let partitions = topic.partitions.iter().map(|_| Reading::default()).collect();
        let news = topic.news();
        let mut reader = Reader { topic, news, epoch, looked: Instant::now(), partitions, turn: 0 };
        reader.look(&self.shared, &self.group).await?;
        Ok(reader)
    }

    fn fenced(&self) -> StoreError {
        StoreError::Fenced { group: self.group.to_string(), topic: self.topic.to_string() }
    }
}

impl EventSource for EmbeddedSource {
    type Error = StoreError;

    async fn poll(&mut self, max_records: usize) -> Result<Polled, StoreError> {
        let until = Instant::now() + WAIT;
        let fenced = self.fenced();
        let reader = match &mut self.member {
            Member::Active(reader) => reader,
            Member::Fenced => return Err(fenced),
            Member::New => {
                let reader = self.join().await?;
                let numbers = reader.numbers();
                self.member = Member::Active(reader);
                return Ok(Polled::Assigned(numbers));
            }
        };
        loop {
            // Seen before the ends are read, so that an append in between wakes the wait below.
            reader.news.borrow_and_update();
            if reader.looked.elapsed() >= LOOK && !reader.look(&self.shared, &self.group).await? {
                let numbers = reader.numbers();
                self.member = Member::Fenced;
                return Ok(Polled::Revoked(numbers));
            }
            if let Some(batch) = reader.take(&self.shared, max_records.max(1))? {
                return Ok(Polled::Records(batch));
            }
            if reader.fetch(&self.shared).await? {
                continue;
            }
            if timeout_at(until, reader.news.changed()).await.is_err() {
                return Ok(Polled::Idle);
            }
        }
    }

    async fn seek(&mut self, partition: u32, offset: u64) -> Result<(), StoreError> {
        self.open(partition, Reading { position: offset, fetched: offset, sought: true, ..Reading::default() }).await
    }

    async fn seek_to_beginning(&mut self, partition: u32) -> Result<(), StoreError> {
        self.open(partition, Reading::default()).await
    }

    fn pause(&mut self, partitions: &[u32]) {
        let Member::Active(reader) = &mut self.member else { return };
        for &partition in partitions {
            if let Some(reading) = reader.partitions.get_mut(partition as usize) {
                *reading = Reading { paused: true, ..Reading::default() };
            }
        }
    }

    /// Who comes next takes the group over, and waits for nobody to leave it.
    async fn leave(&mut self) -> bool {
        false
    }
}

impl EmbeddedSource {
    async fn open(&mut self, partition: u32, opened: Reading) -> Result<(), StoreError> {
        if matches!(self.member, Member::New) {
            self.member = Member::Active(self.join().await?);
        }
        let fenced = self.fenced();
        let Member::Active(reader) = &mut self.member else {
            return Err(fenced);
        };
        reader.topic.partition(partition)?;
        if let Some(reading) = reader.partitions.get_mut(partition as usize) {
            *reading = opened;
        }
        Ok(())
    }
}

impl Reader {
    fn numbers(&self) -> Vec<u32> {
        (0..).take(self.partitions.len()).collect()
    }

    /// Learns what other processes did; false when one of them has taken over.
    async fn look(&mut self, shared: &Shared, group: &str) -> Result<bool, StoreError> {
        let found = fetch::look(&shared.db, group, &self.topic).await?;
        self.looked = Instant::now();
        Ok(found == self.epoch)
    }

    /// Fetches the next batches of the partitions that have news and nothing buffered; false when there are none.
    async fn fetch(&mut self, shared: &Shared) -> Result<bool, StoreError> {
        let wanted: Vec<(usize, u64)> = self
            .partitions
            .iter()
            .enumerate()
            .filter(|(_, reading)| !reading.paused && reading.waiting.is_empty())
            .filter(|(i, reading)| reading.fetched < self.topic.partitions[*i].end())
            .map(|(i, reading)| (i, reading.fetched))
            .take(fetch::PARTITIONS)
            .collect();
        if wanted.is_empty() {
            return Ok(false);
        }
        for (i, batches) in fetch::batches(&shared.db, &self.topic, &wanted).await? {
            let reading = &mut self.partitions[i];
            if batches.is_empty() {
                // Retention has dropped all there was: nothing is left before the end.
                reading.fetched = self.topic.partitions[i].end();
            }
            for batch in batches {
                reading.fetched = batch.next;
                reading.waiting.push_back(batch);
            }
        }
        Ok(true)
    }

    /// The next records of the next partition that has some buffered.
    fn take(&mut self, shared: &Shared, max_records: usize) -> Result<Option<RecordBatch>, StoreError> {
        let count = self.partitions.len();
        for _ in 0..count {
            let number = self.turn;
            self.turn = (self.turn + 1) % count;
            let reading = &mut self.partitions[number];
            if reading.open.is_none() && reading.waiting.is_empty() {
                continue;
            }
            let end = self.topic.partitions[number].end();
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            if let Some(batch) = reading.take(shared, &self.topic.name, number, end, max_records)? {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }
}

impl Reading {
    fn take(
        &mut self,
        shared: &Shared,
        topic: &Arc<str>,
        partition: u32,
        end: u64,
        max_records: usize,
    ) -> Result<Option<RecordBatch>, StoreError> {
        let damaged = |base, error| StoreError::damaged_batch(shared.db.path(), topic, partition, base, error);
        let mut records = Vec::new();
        let mut bytes = 0;
        while records.len() < max_records && bytes < BATCH_BYTES {
            if let Some(decoder) = &mut self.open {
                let room = max_records - records.len();
                records.reserve(room.min(decoder.left() as usize));
                for record in decoder.take(room) {
                    let record = record.map_err(|error| damaged(self.position, error))?;
                    // A batch may begin before the offset that was sought.
                    if record.offset >= self.position {
                        self.position = record.offset + 1;
                        bytes += record.payload.len();
                        records.push(record);
                    }
                    if bytes >= BATCH_BYTES {
                        break;
                    }
                }
                if decoder.left() > 0 {
                    continue;
                }
                self.open = None;
            } else if let Some(batch) = self.waiting.pop_front() {
                if batch.base > self.position {
                    let (from, to) = (self.position, batch.base);
                    if self.sought {
                        tracing::warn!(%topic, partition, from, to, "retention has dropped records before they were read");
                    }
                    self.position = batch.base;
                }
                self.sought = true;
                self.open = Some(Decoder::new(batch.blob, batch.base).map_err(|error| damaged(batch.base, error))?);
            } else {
                break;
            }
        }
        if records.is_empty() {
            return Ok(None);
        }
        let high_watermark = end.max(self.position);
        Ok(Some(RecordBatch { topic: topic.clone(), partition, records, next_offset: self.position, high_watermark }))
    }
}
