//! The wall clock.

use jiff::Timestamp;
use pulse_core::ports::Clock;

/// The clock of the operating system. Nothing else asks it: whatever needs the time takes a [`Clock`].
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the adapter that the ban points to")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_does_not_stand_at_the_epoch() {
        let year_2020 = Timestamp::from_second(1_577_836_800).unwrap();
        assert!(SystemClock.now() > year_2020);
    }
}
