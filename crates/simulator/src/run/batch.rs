//! Makes batches of events.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::BytesMut;
use pulse_core::{NewRecord, TimestampMs};

use crate::replay::{Replay, Truth};
use crate::schedule::Schedule;

/// Room for the payloads of one allocation, in bytes.
const BUFFER_BYTES: usize = 256 * 1024;

/// A batch to make: it gives the same events however often it is made.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) replay: Arc<Replay>,
    pub(super) schedule: Schedule,
    pub(super) now: TimestampMs,
    pub(super) range: Range<u64>,
}

/// The truth about a batch, counted.
#[derive(Debug, Default)]
pub(super) struct Tally<'a> {
    pub(super) injected: BTreeMap<&'a str, u64>,
    pub(super) genuine_outliers: u64,
}

impl Job {
    /// The events and their truths; on a thread of its own, since a full batch takes milliseconds.
    pub(super) async fn make(self) -> Result<(Vec<NewRecord>, Vec<Truth>), tokio::task::JoinError> {
        tokio::task::spawn_blocking(move || self.make_now()).await
    }

    fn make_now(self) -> (Vec<NewRecord>, Vec<Truth>) {
        let Self { replay, schedule, now, range } = self;
        let mut buffer = BytesMut::with_capacity(BUFFER_BYTES);
        range
            .filter_map(|i| {
                if buffer.capacity() < BUFFER_BYTES / 64 {
                    buffer.reserve(BUFFER_BYTES);
                }
                replay.event(i, schedule.event_time(i, &replay, now), &mut buffer)
            })
            .unzip()
    }
}

impl<'a> Tally<'a> {
    pub(super) fn of(replay: &'a Replay, truths: &[Truth]) -> Self {
        let mut tally = Self::default();
        for &truth in truths {
            match truth {
                Truth::Ordinary => {}
                Truth::GenuineOutlier => tally.genuine_outliers += 1,
                Truth::Injected(_) => *tally.injected.entry(replay.label(truth).unwrap_or_default()).or_default() += 1,
            }
        }
        tally
    }
}
