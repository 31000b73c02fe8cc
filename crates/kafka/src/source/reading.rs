//! How far one partition was read.

use std::sync::Arc;

use pulse_core::RecordBatch;
use rdkafka::Message as _;
use rdkafka::message::BorrowedMessage;

use crate::batch::Growing;
use crate::context::PartitionStatistics;

/// A partition that is being read.
#[derive(Debug)]
pub(super) struct Reading {
    /// Which opening this is.
    pub(super) opening: u64,
    /// Where reading goes on: everything before it was taken from librdkafka.
    position: u64,
    /// The end, as far as it is known.
    end: u64,
    /// Whether librdkafka said that the end is reached, after the last record.
    at_end: bool,
    /// Position and end that the last batch told.
    told: (u64, u64),
    growing: Growing,
}

impl Reading {
    pub(super) fn new(opening: u64, position: u64, end: u64) -> Self {
        Self { opening, position, end, at_end: false, told: (position, position), growing: Growing::default() }
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Takes a record; true when the batch is complete with it.
    pub(super) fn push(&mut self, message: &BorrowedMessage<'_>) -> bool {
        let offset = u64::try_from(message.offset()).unwrap_or_default();
        if offset < self.position {
            return false;
        }
        self.growing.push(message);
        self.position = offset + 1;
        self.at_end = false;
        self.growing.is_full()
    }

    /// It is closed for a while. What librdkafka then holds is dropped, so that its statistics say nothing of what we read,
    /// until the end is reached again.
    pub(super) fn interrupt(&mut self) {
        self.at_end = false;
    }

    /// librdkafka has handed out all there is.
    pub(super) fn reach_end(&mut self) {
        self.at_end = true;
        self.end = self.position;
    }

    /// Learns the end of the partition.
    ///
    /// Behind the last record there may be markers of transactions, and records that were aborted. That librdkafka has read
    /// through them only its statistics tell, and those overtake records on the way to us. So they count when the end was
    /// reached, nothing came since, and nothing was on the way when they were made.
    pub(super) fn learn(&mut self, statistics: &PartitionStatistics) {
        let offset = |offset: i64| u64::try_from(offset).unwrap_or_default();
        if self.at_end {
            if statistics.queued != 0 {
                return;
            }
            self.position = self.position.max(offset(statistics.end_reached));
        }
        self.end = self.position.max(offset(statistics.stable_end));
    }

    /// What is new since the last batch.
    pub(super) fn batch(&mut self, topic: &Arc<str>, partition: u32) -> Option<RecordBatch> {
        let (told_position, told_end) = self.told;
        let caught_up = told_end > told_position && self.end <= self.position;
        if self.growing.is_empty() && self.position == told_position && !caught_up {
            return None;
        }
        let (next_offset, high_watermark) = (self.position, self.end.max(self.position));
        self.told = (next_offset, high_watermark);
        let records = self.growing.finish();
        Some(RecordBatch { topic: Arc::clone(topic), partition, records, next_offset, high_watermark })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statistics(queued: i64, end_reached: i64, stable_end: i64) -> PartitionStatistics {
        PartitionStatistics { partition: 0, queued, end_reached, stable_end }
    }

    fn told(reading: &mut Reading) -> Option<(u64, u64)> {
        reading.batch(&Arc::from("t"), 0).map(|batch| (batch.next_offset, batch.lag()))
    }

    #[test]
    fn markers_at_the_end_are_passed() {
        let mut reading = Reading::new(1, 100, 101);
        reading.learn(&statistics(0, -1001, 101));
        assert_eq!(told(&mut reading), None, "the end was not reached yet");
        reading.reach_end();
        assert_eq!(told(&mut reading), None);
        reading.learn(&statistics(3, 101, 101));
        assert_eq!(told(&mut reading), None, "something is on its way, perhaps a record before 101");
        reading.learn(&statistics(0, 101, 101));
        assert_eq!(told(&mut reading), Some((101, 0)));
        assert_eq!(told(&mut reading), None, "once is enough");
    }

    #[test]
    fn an_end_that_was_reached_without_us_does_not_count() {
        let mut reading = Reading::new(1, 100, 100);
        reading.reach_end();
        reading.interrupt();
        reading.learn(&statistics(0, 120, 120));
        assert_eq!(reading.position(), 100, "what librdkafka read to 120 was dropped");
    }

    #[test]
    fn an_end_reached_before_this_opening_does_not_count() {
        let mut reading = Reading::new(2, 10, 500);
        reading.learn(&statistics(0, 500, 500));
        assert_eq!(reading.position(), 10);
    }
}
