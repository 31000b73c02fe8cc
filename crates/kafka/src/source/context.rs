//! What happens while librdkafka is polled: rebalances and statistics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaError as Native;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, TopicPartitionList};

use crate::context::{Context, Link, Statistics};

/// Something that is no record.
#[derive(Debug)]
pub(super) enum News {
    Assigned(Vec<u32>),
    Revoked(Vec<u32>),
    Statistics(Statistics),
    Failed(Native),
}

/// Collects news for the poller, on whose thread it is called.
#[derive(Debug)]
pub(super) struct SourceContext {
    common: Context,
    news: Mutex<Vec<News>>,
    /// Events that polls served without giving anything back: after them, more may wait.
    served: AtomicU64,
}

impl SourceContext {
    pub(super) fn new() -> Self {
        Self { common: Context::new(), news: Mutex::default(), served: AtomicU64::new(0) }
    }

    pub(super) fn link(&self) -> &Link {
        self.common.link()
    }

    /// A number that rises with every event that is served.
    pub(super) fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }

    /// Takes what happened since the last time.
    pub(super) fn take_news(&self) -> Vec<News> {
        std::mem::take(&mut *self.news.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What every client of ours keeps.
    pub(super) fn common(&self) -> &Context {
        &self.common
    }

    fn tell(&self, news: News) {
        self.news.lock().unwrap_or_else(PoisonError::into_inner).push(news);
    }

    fn count(&self) {
        self.served.fetch_add(1, Ordering::Relaxed);
    }
}

impl ClientContext for SourceContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.count();
        self.common.log(level, facility, message);
    }

    fn stats_raw(&self, json: &[u8]) {
        self.count();
        if let Some(statistics) = Statistics::parse(json) {
            self.common.learn(&statistics);
            self.tell(News::Statistics(statistics));
        }
    }

    fn error(&self, error: Native, reason: &str) {
        self.common.error(error, reason);
    }
}

impl ConsumerContext for SourceContext {
    /// Takes note of the change and lets the group go on. What librdkafka reads is said apart from it: a new partition is
    /// read once it was opened, and one that was revoked until it is closed.
    fn rebalance(&self, consumer: &BaseConsumer<Self>, kind: RDKafkaRespErr, list: &mut TopicPartitionList) {
        self.count();
        let partitions: Vec<u32> =
            list.elements().iter().filter_map(|element| u32::try_from(element.partition()).ok()).collect();
        let assigned = kind == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        let none = TopicPartitionList::new();
        let done = if assigned { consumer.incremental_assign(&none) } else { consumer.incremental_unassign(&none) };
        if let Err(error) = done {
            self.tell(News::Failed(error));
        }
        if assigned {
            // Without any it says that the group has let us in.
            self.tell(News::Assigned(partitions));
        } else if !partitions.is_empty() {
            self.tell(News::Revoked(partitions));
        }
    }
}
