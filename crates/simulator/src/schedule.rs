//! When each event happens.

use std::time::Duration;

use pulse_core::TimestampMs;

use crate::events::Events;
use crate::options::Pace;

/// Microseconds between events as fast as possible, where time does not follow the clock.
const NOMINAL_SPACING_US: u64 = 10;

/// Gives every sequence number its time.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    pace: Pace,
    /// Time of event `origin`; none follows the clock.
    anchor: Option<TimestampMs>,
    /// The event at the anchor.
    origin: u64,
    /// The first event of this run.
    first: u64,
}

impl Schedule {
    /// The schedule of a run whose first event is `first`. With `start` it is that of event 0; without, the run begins at
    /// `now`.
    pub(crate) fn new(pace: Pace, start: Option<TimestampMs>, now: TimestampMs, first: u64) -> Self {
        let (anchor, origin) = match (start, pace) {
            (Some(start), _) => (Some(start), 0),
            (None, Pace::Max) => (None, first),
            (None, _) => (Some(now), first),
        };
        Self { pace, anchor, origin, first }
    }

    /// The time of event `i`; `now` where time follows the clock.
    pub(crate) fn event_time(&self, i: u64, events: &Events, now: TimestampMs) -> TimestampMs {
        let Some(anchor) = self.anchor else { return now };
        anchor.saturating_add_unsigned(self.micros(self.origin, i, events) / 1000)
    }

    /// How long after the start of the run event `i` is due; none is at once.
    pub(crate) fn due(&self, i: u64, events: &Events) -> Option<Duration> {
        match self.pace {
            Pace::Max => None,
            _ => Some(Duration::from_micros(self.micros(self.first, i, events))),
        }
    }

    /// Microseconds from event `from` to event `to`.
    fn micros(&self, from: u64, to: u64, events: &Events) -> u64 {
        let steps = to.saturating_sub(from);
        #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        match self.pace {
            Pace::Max => steps.saturating_mul(NOMINAL_SPACING_US),
            Pace::PerSecond(rate) => (steps as f64 * 1e6 / rate) as u64,
            Pace::Speed(speed) => (events.elapsed_ms(from, to) as f64 * 1e3 / speed) as u64,
        }
    }
}
