//! Which records were acknowledged.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError as Native;
use rdkafka::producer::{DeliveryResult, ProducerContext};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::context::{Context, Link};

/// The records of one append.
#[derive(Debug, Default)]
pub(crate) struct Awaited {
    sent: AtomicUsize,
    /// Acknowledged or failed.
    done: AtomicUsize,
    failure: Mutex<Option<Native>>,
    news: Notify,
}

impl Awaited {
    /// One more record is on its way.
    pub(super) fn sent(&self) {
        self.sent.fetch_add(1, Ordering::Relaxed);
    }

    /// Records on their way.
    pub(super) fn outstanding(&self) -> usize {
        self.sent.load(Ordering::Acquire).saturating_sub(self.done.load(Ordering::Acquire))
    }

    /// Waits until none is on its way. To be called when all were sent.
    pub(super) async fn all(&self) -> Result<(), Native> {
        while self.outstanding() > 0 {
            // A permit is kept, should the last one arrive just now.
            self.news.notified().await;
        }
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take().map_or(Ok(()), Err)
    }

    fn done(&self, failure: Option<&Native>) {
        if let Some(error) = failure {
            self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| error.clone());
        }
        // Not all may have been sent yet; then nobody waits, and the permit is no harm.
        if self.done.fetch_add(1, Ordering::AcqRel) + 1 >= self.sent.load(Ordering::Acquire) {
            self.news.notify_one();
        }
    }
}

/// Takes librdkafka's reports.
#[derive(Debug)]
pub(crate) struct Deliveries {
    common: Context,
    room: Notify,
}

impl Deliveries {
    pub(super) fn new(link: Link) -> Self {
        Self { common: Context::showing(link), room: Notify::new() }
    }

    /// Ends when a record has made room.
    pub(super) fn room(&self) -> Notified<'_> {
        self.room.notified()
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.common.log(level, facility, message);
    }

    fn stats_raw(&self, json: &[u8]) {
        self.common.stats_raw(json);
    }

    fn error(&self, error: Native, reason: &str) {
        self.common.error(error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Arc<Awaited>;

    fn delivery(&self, result: &DeliveryResult<'_>, awaited: Arc<Awaited>) {
        awaited.done(result.as_ref().err().map(|(error, _)| error));
        self.room.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rdkafka::error::RDKafkaErrorCode as Code;

    use super::*;

    #[tokio::test]
    async fn the_last_report_ends_the_wait_and_the_first_failure_is_told() {
        let awaited = Arc::new(Awaited::default());
        (0..3).for_each(|_| awaited.sent());
        awaited.done(None);
        let waiting = tokio::time::timeout(Duration::from_millis(1), awaited.all()).await;
        assert!(waiting.is_err(), "two are outstanding");
        let reporter = Arc::clone(&awaited);
        let reports = std::thread::spawn(move || {
            reporter.done(Some(&Native::MessageProduction(Code::MessageSizeTooLarge)));
            reporter.done(Some(&Native::MessageProduction(Code::PurgeQueue)));
        });
        let result = awaited.all().await;
        assert_eq!(result, Err(Native::MessageProduction(Code::MessageSizeTooLarge)));
        reports.join().unwrap();
    }
}
