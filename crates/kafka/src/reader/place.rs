//! How far one partition was fetched.

use std::sync::Arc;

use pulse_core::RecordBatch;
use rdkafka::Message as _;
use rdkafka::message::BorrowedMessage;

use crate::batch::Growing;

/// A partition of the topic.
#[derive(Debug)]
pub(super) struct Place {
    /// Where it began and ended when reading began.
    begin: u64,
    end: u64,
    /// Everything before it was fetched, or is no more.
    position: u64,
    /// Up to where the last batch reached.
    told: u64,
    growing: Growing,
    /// Whether librdkafka is not to fetch it, as long as others are behind.
    held: bool,
}

impl Place {
    pub(super) fn new(begin: u64, end: u64) -> Self {
        Self { begin, end: end.max(begin), position: begin, told: begin, growing: Growing::default(), held: false }
    }

    /// Where it began and ended when reading began.
    pub(super) fn span(&self) -> (u64, u64) {
        (self.begin, self.end)
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    pub(super) fn is_held(&self) -> bool {
        self.held
    }

    pub(super) fn set_held(&mut self, held: bool) {
        self.held = held;
    }

    /// Whether it lacks something that was there when reading began.
    pub(super) fn is_behind(&self) -> bool {
        self.position < self.end
    }

    /// Takes a record; its bytes, or none where it is not wanted, because it was taken before.
    pub(super) fn push(&mut self, message: &BorrowedMessage<'_>) -> usize {
        let offset = offset(message);
        if offset < self.position {
            return 0;
        }
        self.growing.push(message);
        self.position = offset + 1;
        message.key_len() + message.payload_len()
    }

    /// Whether `message` came after reading began.
    pub(super) fn is_later(&self, message: &BorrowedMessage<'_>) -> bool {
        offset(message) >= self.end
    }

    /// What was there when reading began has been fetched, but for markers of transactions and records that were aborted.
    pub(super) fn reach_end(&mut self) {
        self.position = self.position.max(self.end);
    }

    /// Retention has dropped what stood before `begin`.
    pub(super) fn skip_to(&mut self, begin: u64) {
        self.position = self.position.max(begin);
    }

    /// What is new since the last batch; without records where there are none.
    pub(super) fn batch(&mut self, topic: &Arc<str>, partition: u32) -> Option<RecordBatch> {
        if self.position == self.told {
            return None;
        }
        self.told = self.position;
        let (records, high_watermark) = (self.growing.finish(), self.end.max(self.position));
        Some(RecordBatch { topic: Arc::clone(topic), partition, records, next_offset: self.position, high_watermark })
    }
}

fn offset(message: &BorrowedMessage<'_>) -> u64 {
    u64::try_from(message.offset()).unwrap_or_default()
}
