//! One transaction, from its beginning to its end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pulse_core::ports::{Commit, StateRecord};
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError as Native, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, PurgeConfig};

use crate::context::Context;
use crate::error::is_fenced;
use crate::producer::message;
use crate::query;

/// A call of librdkafka returns after this time, to be made again, so that it is seen when nobody wants it any more.
const TURN: Duration = Duration::from_secs(2);
/// Between two looks at what has been acknowledged.
const MOMENT: Duration = Duration::from_micros(500);
/// How often it is said that brokers are still waited for.
const REMIND: Duration = Duration::from_secs(10);

/// How a transaction ended.
#[derive(Debug)]
pub(super) enum End {
    Committed,
    /// Nothing of it is visible.
    Aborted(Native),
    /// Somebody else holds the transactional id.
    Fenced,
    /// The producer can't be used any more. Whether the transaction was committed is not known.
    Broken(Native),
}

/// Where things go, and for which group.
pub(super) struct Place<'a> {
    pub(super) topic: &'a str,
    pub(super) state_topic: &'a str,
    pub(super) group: &'a ConsumerGroupMetadata,
}

/// Commits all of `commit`, or nothing. Waits for brokers that are away, unless `stop` is set.
pub(super) fn run(producer: &BaseProducer<Context>, place: &Place<'_>, commit: &Commit, stop: &AtomicBool) -> End {
    let sent = producer.begin_transaction().and_then(|()| fill(producer, place, commit, stop));
    let committed = sent.and_then(|()| insist(stop, "commit a transaction", || producer.commit_transaction(TURN)));
    let error = match committed {
        Ok(()) => return End::Committed,
        Err(error) => error,
    };
    if is_over(&error) {
        return End::of(error);
    }
    // What still waits to be sent would only delay the end.
    producer.purge(PurgeConfig::default().queue().inflight());
    drain(producer, stop);
    match insist(stop, "abort a transaction", || producer.abort_transaction(TURN)) {
        Ok(()) => End::Aborted(error),
        Err(worse) => End::of(worse),
    }
}

impl End {
    fn of(error: Native) -> Self {
        if error.rdkafka_error_code().is_some_and(is_fenced) { Self::Fenced } else { Self::Broken(error) }
    }
}

/// Whether the producer can't go on.
fn is_over(error: &Native) -> bool {
    match error {
        Native::Transaction(error) => error.is_fatal() || is_fenced(error.code()),
        error => {
            matches!(error.rdkafka_error_code(), Some(Code::Fatal)) || error.rdkafka_error_code().is_some_and(is_fenced)
        }
    }
}

/// Sends everything, and waits until it is acknowledged.
fn fill(producer: &BaseProducer<Context>, place: &Place<'_>, commit: &Commit, stop: &AtomicBool) -> KafkaResult<()> {
    for record in &commit.outputs {
        send(producer, || message(record, ()))?;
    }
    for record in &commit.state {
        send(producer, || state_message(place.state_topic, commit.partition, record))?;
    }
    let offsets = query::list(place.topic, [(commit.partition, query::at(commit.next_offset))])?;
    insist(stop, "commit an offset", || producer.send_offsets_to_transaction(&offsets, place.group, TURN))?;
    drain(producer, stop);
    Ok(())
}

/// Waits until nothing is on its way. The end of a transaction would do so too, but in steps of a tenth of a second.
fn drain(producer: &BaseProducer<Context>, stop: &AtomicBool) {
    while producer.in_flight_count() > 0 && !stop.load(Ordering::Relaxed) {
        serve(producer);
    }
}

/// Takes what has come, and sleeps a moment. To poll for a moment would not sleep: rdkafka gives librdkafka whole
/// milliseconds, the rest of which it spins away.
fn serve(producer: &BaseProducer<Context>) {
    producer.poll(Duration::ZERO);
    std::thread::sleep(MOMENT);
}

fn state_message<'a>(topic: &'a str, partition: u32, record: &'a StateRecord) -> BaseRecord<'a, [u8], [u8]> {
    let mut message = BaseRecord::to(topic).partition(query::native(partition)).key(&record.key[..]);
    message.payload = record.value.as_deref();
    message
}

fn send<'a>(producer: &BaseProducer<Context>, make: impl Fn() -> BaseRecord<'a, [u8], [u8]>) -> KafkaResult<()> {
    loop {
        match producer.send(make()) {
            Ok(()) => return Ok(()),
            Err((Native::MessageProduction(Code::QueueFull), _)) => serve(producer),
            Err((error, _)) => return Err(error),
        }
    }
}

/// Makes a call until it is done or has failed: one that timed out is meant to be made again.
pub(super) fn insist(stop: &AtomicBool, what: &str, call: impl FnMut() -> KafkaResult<()>) -> KafkaResult<()> {
    insist_for(Duration::MAX, stop, what, call)
}

/// As [`insist`], but no longer than `patience`.
pub(super) fn insist_for(
    patience: Duration,
    stop: &AtomicBool,
    what: &str,
    mut call: impl FnMut() -> KafkaResult<()>,
) -> KafkaResult<()> {
    let begun = Instant::now();
    let mut reminded = begun;
    loop {
        match call() {
            Err(error) if is_retriable(&error) && !stop.load(Ordering::Relaxed) && begun.elapsed() < patience => {
                if reminded.elapsed() > REMIND {
                    reminded = Instant::now();
                    tracing::warn!(%error, "brokers do not let us {what} yet: waiting");
                }
            }
            result => return result,
        }
    }
}

fn is_retriable(error: &Native) -> bool {
    match error {
        Native::Transaction(error) => error.is_retriable() && !error.is_fatal() && !error.txn_requires_abort(),
        Native::Flush(code) => *code == Code::OperationTimedOut,
        _ => false,
    }
}
