//! Reading the partitions of a topic in turn, for a source and for a reader.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use pulse_core::RecordBatch;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::codec::Decoder;
use crate::error::StoreError;

use super::Shared;
use super::fetch::{self, Fetched, Span};
use super::topics::Topic;

/// How long a poll waits for news.
pub(super) const WAIT: Duration = Duration::from_millis(50);
/// How often the file is asked for what other processes did: new records, and a takeover of the group.
const LOOK: Duration = Duration::from_millis(100);
/// Bytes of payloads from which a batch is handed out: records may be large, so their number alone bounds no memory.
const BATCH_BYTES: usize = 4 << 20;

/// The right of a member to read for its group.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) group: Arc<str>,
    pub(super) epoch: i64,
}

/// What was found.
#[derive(Debug)]
pub(super) enum Found {
    Records(RecordBatch),
    Nothing,
    /// Somebody else has taken the group over.
    Fenced,
}

/// A topic that is being read.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) topic: Arc<Topic>,
    news: watch::Receiver<()>,
    /// None where it is read for no group.
    lease: Option<Lease>,
    looked: Instant,
    partitions: Vec<Reading>,
    /// The partition to serve next.
    turn: usize,
    /// Whether partitions have limits.
    is_limited: bool,
}

/// How far one partition was read.
#[derive(Debug)]
pub(super) struct Reading {
    /// The next offset to hand out.
    position: u64,
    /// The next offset to fetch.
    fetched: u64,
    /// What begins here waits until all partitions have come to their limits. The border of a batch, as what is written
    /// together is.
    limit: u64,
    /// The rest of a batch that was handed out in part.
    open: Option<Decoder>,
    /// Batches not decoded yet.
    waiting: VecDeque<Fetched>,
    /// Whether a seek is waited for.
    paused: bool,
    /// Whether it was sought, so that what is missing before the next record is lost.
    sought: bool,
}

impl Reader {
    /// Reads `topic` from its beginning.
    pub(super) async fn open(shared: &Shared, topic: Arc<Topic>, lease: Option<Lease>) -> Result<Self, StoreError> {
        let partitions = topic.partitions.iter().map(|_| Reading::beginning()).collect();
        let (news, looked) = (topic.news(), Instant::now());
        let mut reader = Self { topic, news, lease, looked, partitions, turn: 0, is_limited: false };
        reader.look(shared).await?;
        Ok(reader)
    }

    /// Reads `spans`, and only then what came later.
    pub(super) fn begin_with(&mut self, spans: &[Span]) {
        self.is_limited = true;
        for (reading, span) in self.partitions.iter_mut().zip(spans) {
            *reading = Reading { limit: span.end, ..Reading::at(span.begin) };
        }
    }

    /// The numbers of the partitions.
    pub(super) fn numbers(&self) -> Vec<u32> {
        (0..).take(self.partitions.len()).collect()
    }

    /// Where each partition stands: all before that was handed out, or is no more.
    pub(super) fn positions(&self) -> impl Iterator<Item = u64> {
        self.partitions.iter().map(|reading| reading.position)
    }

    /// Reads `partition` on as `reading` says.
    pub(super) fn set(&mut self, partition: u32, reading: Reading) {
        if let Some(place) = self.partitions.get_mut(partition as usize) {
            *place = reading;
        }
    }

    /// Waits, for a short while, for the next records. Cancel safe.
    pub(super) async fn poll(&mut self, shared: &Shared, max_records: usize) -> Result<Found, StoreError> {
        let until = Instant::now() + WAIT;
        loop {
            // Seen before the ends are read, so that an append in between wakes the wait below.
            self.news.borrow_and_update();
            if self.looked.elapsed() >= LOOK && !self.look(shared).await? {
                return Ok(Found::Fenced);
            }
            if self.is_limited && self.pass_limits() {
                return Ok(Found::Nothing);
            }
            if let Some(batch) = self.take(shared, max_records.max(1))? {
                return Ok(Found::Records(batch));
            }
            if self.fetch(shared).await? {
                continue;
            }
            if timeout_at(until, self.news.changed()).await.is_err() {
                return Ok(Found::Nothing);
            }
        }
    }

    /// Learns what other processes did; false when one of them has taken over.
    async fn look(&mut self, shared: &Shared) -> Result<bool, StoreError> {
        let group = self.lease.as_ref().map(|lease| &*lease.group);
        let found = fetch::look(&shared.db, group, &self.topic).await?;
        self.looked = Instant::now();
        Ok(self.lease.as_ref().is_none_or(|lease| lease.epoch == found))
    }

    /// Does away with the limits when all partitions have come to them. True when something was passed on the way that is no
    /// more: whoever asks how far we are is told so before anything that came later.
    fn pass_limits(&mut self) -> bool {
        let mut passed = false;
        for reading in self.partitions.iter_mut().filter(|reading| reading.lacks_the_rest()) {
            reading.position = reading.limit;
            passed = true;
        }
        if self.partitions.iter().all(|reading| reading.position >= reading.limit) {
            self.is_limited = false;
            self.partitions.iter_mut().for_each(|reading| reading.limit = u64::MAX);
        }
        passed
    }

    /// Fetches the next batches of the partitions that have news and nothing buffered; false when there are none.
    async fn fetch(&mut self, shared: &Shared) -> Result<bool, StoreError> {
        let wanted: Vec<(usize, u64)> = self
            .partitions
            .iter()
            .enumerate()
            .filter(|(_, reading)| !reading.paused && reading.waiting.is_empty())
            .filter(|(i, reading)| reading.fetched < self.topic.partitions[*i].end().min(reading.limit))
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
            if reading.open.is_none() && !reading.has_waiting() {
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
    fn beginning() -> Self {
        Self { sought: false, ..Self::at(0) }
    }

    /// One that goes on at `offset`, or at its beginning.
    pub(super) fn from(offset: Option<u64>) -> Self {
        offset.map_or_else(Self::beginning, Self::at)
    }

    fn at(offset: u64) -> Self {
        Self {
            position: offset,
            fetched: offset,
            limit: u64::MAX,
            open: None,
            waiting: VecDeque::new(),
            paused: false,
            sought: true,
        }
    }

    /// One that waits for a seek.
    pub(super) fn paused() -> Self {
        Self { paused: true, ..Self::beginning() }
    }

    /// Whether a batch waits that may be handed out.
    fn has_waiting(&self) -> bool {
        self.waiting.front().is_some_and(|batch| batch.base < self.limit)
    }

    /// Whether nothing is left before the limit, though it was not read up to there: retention was faster.
    fn lacks_the_rest(&self) -> bool {
        let is_empty = self.open.is_none() && !self.has_waiting();
        is_empty && self.position < self.limit && self.fetched >= self.limit
    }

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
            } else if self.has_waiting()
                && let Some(batch) = self.waiting.pop_front()
            {
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
