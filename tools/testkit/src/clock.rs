//! A clock that tests turn by hand.

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use pulse_core::ports::Clock;

/// A clock that stands still until it is turned.
#[derive(Debug)]
pub struct FixedClock(AtomicI64);

impl FixedClock {
    /// A clock that shows `ms` milliseconds since the Unix epoch.
    #[must_use]
    pub fn at(ms: i64) -> Self {
        Self(AtomicI64::new(ms))
    }

    /// Moves it on by `ms` milliseconds.
    pub fn advance(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::Relaxed);
    }
}

impl Default for FixedClock {
    /// Somewhen in 2026.
    fn default() -> Self {
        Self::at(1_780_000_000_000)
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.0.load(Ordering::Relaxed)).unwrap_or_default()
    }
}
