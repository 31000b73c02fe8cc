//! How long to wait before trying again.

use std::time::Duration;

/// Exponential backoff with jitter: each pause is up to twice the one before it, between half of its length and all of it.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    /// Pauses from `first` on, up to `longest`.
    #[must_use]
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first.min(longest) }
    }

    /// The next pause. `chance`, in `[0, 1)`, is drawn by the caller: half of a pause is certain and half of it drawn, so that
    /// many that failed together do not return together.
    pub fn pause(&mut self, chance: f64) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.longest);
        pause / 2 + (pause / 2).mul_f64(chance.clamp(0.0, 1.0))
    }

    /// Starts anew, after a success.
    pub fn reset(&mut self) {
        self.next = self.first.min(self.longest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new(ms(100), ms(350));
        assert_eq!([0.0, 0.0, 0.0, 1.0].map(|chance| backoff.pause(chance)), [ms(50), ms(100), ms(175), ms(350)]);
        backoff.reset();
        assert_eq!(backoff.pause(1.0), ms(100));
    }
}
