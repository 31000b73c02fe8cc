//! What librdkafka says of itself: logs, errors, connections.

mod link;
mod repeats;
mod statistics;

use std::sync::{Mutex, PoisonError};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError as Native, RDKafkaErrorCode as Code};
use rdkafka::producer::{DeliveryResult, ProducerContext};
use rdkafka::{ClientContext, Message as _};

use crate::error::{KafkaError, is_refused};

pub use link::Link;

pub(crate) use link::Absence;
pub(crate) use statistics::{PartitionStatistics, Statistics};

/// Takes what a client says: logs go to tracing, errors are kept.
#[derive(Debug)]
pub(crate) struct Context {
    link: Link,
    /// Why we were not let in, where that happened.
    refused: Mutex<Option<String>>,
    /// The topic whose brokers found a record too large, where that happened.
    too_large_for: Mutex<Option<String>>,
}

impl Context {
    pub(crate) fn new() -> Self {
        Self::showing(Link::new())
    }

    /// One that shows by `link` whether it is connected.
    pub(crate) fn showing(link: Link) -> Self {
        Self { link, refused: Mutex::default(), too_large_for: Mutex::default() }
    }

    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    /// Why the brokers did not let us in, the last time that they did not.
    pub(crate) fn take_refusal(&self) -> Option<String> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The topic for which a record was too large, the last time that one was.
    pub(crate) fn take_too_large(&self) -> Option<String> {
        self.too_large_for.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// What an error of a consumer of `brokers` means that wanted to do `what` with `topic`, and why we were not let in, if so.
    pub(crate) fn explain(&self, brokers: &str, what: String, topic: &str, error: Native) -> KafkaError {
        match error {
            Native::MessageConsumptionFatal(code) => KafkaError::Client { reason: code.to_string() },
            error if error.rdkafka_error_code().is_some_and(is_refused) => {
                let reason = self.take_refusal().unwrap_or_else(|| error.to_string());
                KafkaError::Authentication { brokers: brokers.to_owned(), reason }
            }
            error => KafkaError::of(brokers, what, Some(topic), error),
        }
    }

    /// Keeps what statistics say of the connection.
    pub(crate) fn learn(&self, statistics: &Statistics) {
        self.link.set(statistics.is_connected());
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        use RDKafkaLogLevel::{Alert, Critical, Debug, Emerg, Error, Info, Notice, Warning};
        // Properties of producers are no business of consumers, and the other way round.
        if facility == "CONFWARN" || matches!(level, Info | Debug) {
            tracing::debug!(target: "librdkafka", facility, "{message}");
            return;
        }
        let Some(repeated) = repeats::admit(message) else { return };
        match level {
            Emerg | Alert | Critical => tracing::error!(target: "librdkafka", facility, repeated, "{message}"),
            // It goes on trying by itself.
            Error | Warning => tracing::warn!(target: "librdkafka", facility, repeated, "{message}"),
            Notice | Info | Debug => tracing::info!(target: "librdkafka", facility, repeated, "{message}"),
        }
    }

    fn stats_raw(&self, json: &[u8]) {
        if let Some(statistics) = Statistics::parse(json) {
            self.learn(&statistics);
        }
    }

    fn error(&self, error: Native, reason: &str) {
        let Native::Global(code) = error else { return };
        if code == Code::PartitionEOF {
            return;
        }
        if is_refused(code) {
            *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_owned());
        }
        if let Some(repeated) = repeats::admit(reason) {
            tracing::warn!(target: "librdkafka", %code, repeated, "{reason}");
        }
    }
}

impl ConsumerContext for Context {}

impl ProducerContext for Context {
    type DeliveryOpaque = ();

    /// What fails fails its transaction, whose end says so, but not for which of its topics a record was too large.
    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, message)) = result
            && error.rdkafka_error_code() == Some(Code::MessageSizeTooLarge)
        {
            let topic = message.topic().to_owned();
            *self.too_large_for.lock().unwrap_or_else(PoisonError::into_inner) = Some(topic);
        }
    }
}
