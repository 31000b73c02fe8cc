//! Reading partitions from given offsets to their ends, and no further.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use bytes::{BufMut as _, Bytes, BytesMut};
use pulse_core::{Headers, Record};
use rdkafka::Message as _;
use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError as Native, RDKafkaErrorCode as Code};
use rdkafka::message::{BorrowedMessage, Headers as _};

use crate::error::{KafkaError, is_damage, is_forbidden, is_refused};
use crate::query;

/// Without anything read for this long, the brokers are away.
const SILENCE: Duration = Duration::from_secs(30);

/// Reads each of `from` of `topic` to its end, by assigning it to `consumer`, and hands each record to `take`. The end lies between
/// two transactions: nothing behind it is handed over, though more may come while others are still being read. Gives the position at
/// the end of each, markers of transactions included, where anything was read.
///
/// # Errors
/// When the brokers are away, or do not let us read.
pub(crate) fn to_the_end<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    brokers: &str,
    topic: &str,
    from: &[(u32, Offset)],
    mut take: impl FnMut(u32, &BorrowedMessage<'_>),
) -> Result<BTreeMap<u32, u64>, KafkaError> {
    let failed = |source| KafkaError::of(brokers, format!("read topic {topic:?}"), Some(topic), source);
    let mut open: BTreeSet<i32> = from.iter().map(|(partition, _)| query::native(*partition)).collect();
    let mut reached = BTreeMap::new();
    if open.is_empty() {
        return Ok(reached);
    }
    let list = query::list(topic, from.iter().copied()).map_err(failed)?;
    consumer.assign(&list).map_err(failed)?;
    let mut heard = Instant::now();
    let result = loop {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                if open.contains(&message.partition()) {
                    take(message.partition().unsigned_abs(), &message);
                    heard = Instant::now();
                }
            }
            Some(Err(Native::PartitionEOF(partition))) => {
                if open.remove(&partition) {
                    // Later it may lie behind what was not handed over.
                    let positions = query::positions(consumer).map_err(failed)?;
                    let partition = partition.unsigned_abs();
                    reached.extend(positions.get(&partition).map(|&position| (partition, position)));
                }
                heard = Instant::now();
            }
            Some(Err(error)) if is_final(&error) => break Err(failed(error)),
            // It goes on trying by itself.
            Some(Err(_)) | None => {}
        }
        if open.is_empty() {
            break Ok(reached);
        }
        if heard.elapsed() > SILENCE {
            break Err(KafkaError::Unreachable { brokers: brokers.to_owned() });
        }
    };
    consumer.unassign().map_err(failed)?;
    result
}

fn is_final(error: &Native) -> bool {
    error.rdkafka_error_code().is_some_and(|code| {
        is_forbidden(code)
            || is_refused(code)
            || is_damage(code)
            || code == Code::AutoOffsetReset
            || code == Code::UnknownTopicOrPartition
    })
}

/// A record of its own memory.
pub(crate) fn owned(message: &BorrowedMessage<'_>) -> Record {
    let mut buffer = BytesMut::new();
    let laid = Laid::lay(message, &mut buffer);
    laid.record(&buffer.freeze())
}

/// Where the parts of a record lie in a buffer that it shares with others.
#[derive(Debug)]
pub(crate) struct Laid {
    offset: u64,
    timestamp: i64,
    begin: usize,
    /// The ends of the key, where there is one, of the payload, and of the headers.
    key: Option<usize>,
    payload: usize,
    headers: usize,
}

impl Laid {
    /// Copies `message` to the end of `buffer`.
    pub(crate) fn lay(message: &BorrowedMessage<'_>, buffer: &mut BytesMut) -> Self {
        let begin = buffer.len();
        let key = message.key().map(|key| {
            buffer.put_slice(key);
            buffer.len()
        });
        buffer.put_slice(message.payload().unwrap_or_default());
        let payload = buffer.len();
        lay_headers(message, buffer);
        let offset = u64::try_from(message.offset()).unwrap_or_default();
        let timestamp = message.timestamp().to_millis().unwrap_or_default();
        Self { offset, timestamp, begin, key, payload, headers: buffer.len() }
    }

    /// The record, once the buffer is complete.
    pub(crate) fn record(&self, buffer: &Bytes) -> Record {
        Record {
            offset: self.offset,
            timestamp: self.timestamp,
            key: self.key.map(|end| buffer.slice(self.begin..end)),
            payload: buffer.slice(self.key.unwrap_or(self.begin)..self.payload),
            headers: Headers::from_encoded(buffer.slice(self.payload..self.headers)),
        }
    }
}

/// Headers in the form that [`Headers`] has.
fn lay_headers(message: &BorrowedMessage<'_>, buffer: &mut BytesMut) {
    let Some(headers) = message.headers() else { return };
    for index in 0..headers.count() {
        // rdkafka panics at a name that is not UTF-8, which anybody may send.
        let header = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| headers.try_get(index)));
        if let Ok(Some(header)) = header {
            Headers::encode(buffer, header.key, header.value.unwrap_or_default());
        }
    }
}
