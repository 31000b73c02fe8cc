//! Makes batches of events.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::BytesMut;
use pulse_core::{NewRecord, TimestampMs};

use crate::events::{Events, Truth};
use crate::schedule::Schedule;

/// Room for the payloads of one allocation, in bytes.
const BUFFER_BYTES: usize = 256 * 1024;

/// A batch to make: it gives the same events however often it is made.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) events: Arc<Events>,
    pub(super) schedule: Schedule,
    pub(super) now: TimestampMs,
    /// Which events, in rising order.
    pub(super) numbers: Vec<u64>,
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
        let Self { events, schedule, now, numbers } = self;
        let mut buffer = BytesMut::with_capacity(BUFFER_BYTES);
        numbers
            .into_iter()
            .map(|i| {
                if buffer.capacity() < BUFFER_BYTES / 64 {
                    buffer.reserve(BUFFER_BYTES);
                }
                events.event(i, schedule.event_time(i, &events, now), &mut buffer)
            })
            .unzip()
    }
}

impl<'a> Tally<'a> {
    pub(super) fn of(events: &'a Events, truths: &[Truth]) -> Self {
        let mut tally = Self::default();
        for &truth in truths {
            match truth {
                Truth::Ordinary => {}
                Truth::GenuineOutlier => tally.genuine_outliers += 1,
                Truth::Injected(_) => *tally.injected.entry(events.label(truth).unwrap_or_default()).or_default() += 1,
            }
        }
        tally
    }
}
