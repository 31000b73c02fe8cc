//! Pauses between attempts.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// Pauses that double up to a limit, each shortened by chance, so that many who failed together do not come back
/// together ("full jitter", with half of the pause kept).
#[derive(Debug)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    /// Begins with `first`.
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first }
    }

    /// An attempt has succeeded.
    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }

    /// The next pause.
    pub(crate) fn pause(&mut self) -> Duration {
        let whole = self.next.min(self.longest);
        self.next = whole.saturating_mul(2).max(Duration::from_millis(1));
        // The keys of a fresh hasher are random; nothing better is needed here.
        let share = RandomState::new().hash_one(()) as f64 / u64::MAX as f64;
        whole.mul_f64(0.5 + share / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_limit_and_begin_again() {
        let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(50));
        for whole in [10, 20, 40, 50, 50] {
            let pause = backoff.pause();
            assert!((Duration::from_millis(whole) / 2..=Duration::from_millis(whole)).contains(&pause), "{pause:?}");
        }
        backoff.reset();
        assert!(backoff.pause() <= Duration::from_millis(10));
    }
}
