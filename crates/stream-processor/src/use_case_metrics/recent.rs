//! The share of anomalies among recent events.

use std::collections::VecDeque;

use pulse_core::TimestampMs;

/// How far back recent goes, in milliseconds: five minutes.
const WINDOW_MS: i64 = 300_000;
/// The window moves on in steps of this length, in milliseconds.
const STEP_MS: i64 = 10_000;

/// Events and anomalies of the steps that are recent.
#[derive(Debug, Default)]
pub(super) struct Recent(VecDeque<Step>);

#[derive(Debug)]
struct Step {
    number: i64,
    events: u64,
    anomalies: u64,
}

impl Recent {
    /// Adds what was committed at `now`. A clock that goes back adds to the latest step.
    pub(super) fn add(&mut self, now: TimestampMs, events: u64, anomalies: u64) {
        let number = now.div_euclid(STEP_MS);
        if self.0.back().is_none_or(|last| last.number < number) {
            self.0.push_back(Step { number, events: 0, anomalies: 0 });
        }
        if let Some(last) = self.0.back_mut() {
            last.events += events;
            last.anomalies += anomalies;
        }
        let oldest = number.saturating_sub(WINDOW_MS / STEP_MS);
        while self.0.front().is_some_and(|step| step.number <= oldest) {
            self.0.pop_front();
        }
    }

    /// The share of anomalies in the window that ends with what was added last; none where that has no events.
    pub(super) fn rate(&self) -> Option<f64> {
        let (events, anomalies) =
            self.0.iter().fold((0, 0), |(events, anomalies), step| (events + step.events, anomalies + step.anomalies));
        (events > 0).then(|| anomalies as f64 / events as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_than_the_window_no_longer_counts() {
        let mut recent = Recent::default();
        assert_eq!(recent.rate(), None);
        recent.add(0, 100, 50);
        recent.add(5_000, 100, 0);
        assert_eq!(recent.rate(), Some(0.25));
        recent.add(295_000, 200, 0);
        assert_eq!(recent.rate(), Some(0.125));
        recent.add(300_000, 200, 0);
        assert_eq!(recent.rate(), Some(0.0));
        recent.add(10_000_000, 0, 0);
        assert_eq!(recent.rate(), None);
    }

    #[test]
    fn a_clock_that_goes_back_loses_nothing() {
        let mut recent = Recent::default();
        recent.add(400_000, 10, 0);
        recent.add(0, 10, 10);
        recent.add(i64::MIN, 0, 0);
        assert_eq!(recent.rate(), Some(0.5));
    }
}
