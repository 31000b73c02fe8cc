//! The [`TopicReader`]: a consumer that is assigned all partitions, and a member of no group.
//!
//! It fetches only when it is read, on a thread that may wait, and deals out what came, a batch of each partition in turn.

mod fetcher;
mod place;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use pulse_core::RecordBatch;
use pulse_core::ports::{Backlog, TopicReader};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::batch::Rest;
use crate::error::KafkaError;
use crate::settings::KafkaSettings;

use fetcher::Fetcher;

type Fetched = (Box<Fetcher>, Result<Vec<RecordBatch>, KafkaError>);

/// Reads a topic from its beginning, beside all groups.
pub struct KafkaReader {
    topic: Arc<str>,
    /// None while it fetches.
    fetcher: Option<Box<Fetcher>>,
    /// What was begun, even by a read that was dropped.
    fetching: Option<JoinHandle<Fetched>>,
    /// What is to be handed out, of each partition one batch at the most.
    rests: VecDeque<Rest>,
    handed_out: BTreeMap<u32, HandedOut>,
}

/// How much of what was there when reading began was handed out.
#[derive(Debug, Clone, Copy)]
struct HandedOut {
    begin: u64,
    next: u64,
    end: u64,
}

impl KafkaReader {
    /// Reads `topic`, which has to exist.
    ///
    /// # Errors
    /// When librdkafka does not take the settings. Whether brokers answer, and whether there is such a topic, is seen at the
    /// first read.
    pub fn new(settings: &KafkaSettings, topic: &str) -> Result<Self, KafkaError> {
        let topic: Arc<str> = Arc::from(topic);
        let fetcher = Some(Box::new(Fetcher::new(settings, &topic)?));
        Ok(Self { topic, fetcher, fetching: None, rests: VecDeque::new(), handed_out: BTreeMap::new() })
    }

    /// Waits for the topic where there is none, instead of failing.
    #[must_use]
    pub fn patient(mut self) -> Self {
        if let Some(fetcher) = &mut self.fetcher {
            fetcher.is_patient = true;
        }
        self
    }

    /// Gets the next batches. Dropped, it is gone on with the next time.
    async fn fetch(&mut self) -> Result<(), KafkaError> {
        if let Some(mut fetcher) = self.fetcher.take() {
            self.fetching = Some(spawn_blocking(move || {
                let fetched = fetcher.fetch();
                (fetcher, fetched)
            }));
        }
        let done = self.fetching.as_mut().ok_or(KafkaError::Closed)?.await;
        self.fetching = None;
        // Only with the runtime, which is being shut down.
        let (fetcher, fetched) = done.map_err(|_| KafkaError::Closed)?;
        if self.handed_out.is_empty() {
            let begun = |(partition, (begin, end))| (partition, HandedOut { begin, next: begin, end });
            self.handed_out = fetcher.spans().map(begun).collect();
        }
        self.fetcher = Some(fetcher);
        self.rests.extend(fetched?.into_iter().map(Rest::new));
        Ok(())
    }

    /// The next records of the next partition.
    fn deal(&mut self, max_records: usize) -> Option<RecordBatch> {
        while let Some(mut rest) = self.rests.pop_front() {
            let batch = rest.take(max_records);
            if let Some(partition) = self.handed_out.get_mut(&batch.partition) {
                partition.next = batch.next_offset;
            }
            if !rest.is_empty() {
                self.rests.push_back(rest);
            }
            // Behind the last record there may be holes only.
            if !batch.records.is_empty() {
                return Some(batch);
            }
        }
        None
    }
}

impl TopicReader for KafkaReader {
    type Error = KafkaError;

    async fn read(&mut self, max_records: usize) -> Result<Option<RecordBatch>, KafkaError> {
        let max_records = max_records.max(1);
        if let Some(batch) = self.deal(max_records) {
            return Ok(Some(batch));
        }
        self.fetch().await?;
        Ok(self.deal(max_records))
    }

    fn backlog(&self) -> Option<Backlog> {
        let partitions = || self.handed_out.values();
        (!self.handed_out.is_empty()).then(|| Backlog {
            total: partitions().map(|partition| partition.end - partition.begin).sum(),
            read: partitions().map(|partition| partition.next.min(partition.end) - partition.begin).sum(),
        })
    }
}

impl std::fmt::Debug for KafkaReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaReader").field("topic", &self.topic).finish_non_exhaustive()
    }
}
