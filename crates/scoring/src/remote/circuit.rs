//! Whether an address is asked: a circuit breaker, without clock and chance of its own.

use std::time::Duration;

use pulse_core::Backoff;
use tokio::time::Instant;

/// What is known of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It has never answered.
    New,
    /// It answers.
    Closed,
    /// It was left, and says that it is ready: one request at a time tells whether it is.
    HalfOpen,
    /// It was left.
    Open,
}

impl State {
    pub(super) const ALL: [Self; 4] = [Self::New, Self::Closed, Self::HalfOpen, Self::Open];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Closed => "closed",
            Self::HalfOpen => "half_open",
            Self::Open => "open",
        }
    }
}

/// The circuit breaker of one address.
#[derive(Debug)]
pub(super) struct Circuit {
    state: State,
    backoff: Backoff,
    probe_at: Instant,
    probing: bool,
}

impl Circuit {
    /// That of an address that may be probed at once.
    pub(super) fn new(backoff: Backoff, now: Instant) -> Self {
        Self { state: State::New, backoff, probe_at: now, probing: false }
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    /// Whether requests go there.
    pub(super) fn works(&self) -> bool {
        matches!(self.state, State::Closed | State::HalfOpen)
    }

    /// When to ask whether it is ready; none while it works, or is being asked.
    pub(super) fn probe_at(&self) -> Option<Instant> {
        (!self.works() && !self.probing).then_some(self.probe_at)
    }

    /// It is being asked whether it is ready.
    pub(super) fn probing(&mut self) {
        self.probing = true;
    }

    /// It answered a request, as it should.
    pub(super) fn answered(&mut self) {
        self.state = State::Closed;
        self.backoff.reset();
        self.probing = false;
    }

    /// It says that it is ready. That alone does not shorten the next pause.
    pub(super) fn ready(&mut self) {
        self.probing = false;
        if !self.works() {
            self.state = State::HalfOpen;
        }
    }

    /// A request failed: how long the address is left, unless it was left already. `chance` is that of a backoff.
    pub(super) fn failed(&mut self, now: Instant, chance: f64) -> Option<Duration> {
        self.probing = false;
        // Requests that were on their way when it was left fail for the same reason.
        if !self.works() && now < self.probe_at {
            return None;
        }
        let pause = self.backoff.pause(chance);
        self.probe_at = now + pause;
        if self.state != State::New {
            self.state = State::Open;
        }
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn circuit(now: Instant) -> Circuit {
        Circuit::new(Backoff::new(100 * MS, 400 * MS), now)
    }

    #[test]
    fn it_closes_over_a_probe_and_an_answer() {
        let now = Instant::now();
        let mut circuit = circuit(now);
        assert_eq!((circuit.state(), circuit.probe_at()), (State::New, Some(now)));
        circuit.answered();
        assert_eq!((circuit.state(), circuit.probe_at()), (State::Closed, None));
        assert_eq!(circuit.failed(now, 1.0), Some(100 * MS));
        assert_eq!((circuit.state(), circuit.probe_at()), (State::Open, Some(now + 100 * MS)));
        circuit.probing();
        assert_eq!(circuit.probe_at(), None);
        circuit.ready();
        assert_eq!(circuit.state(), State::HalfOpen);
        circuit.answered();
        assert_eq!(circuit.state(), State::Closed);
    }

    #[test]
    fn pauses_grow_until_it_answers() {
        let mut now = Instant::now();
        let mut circuit = circuit(now);
        circuit.answered();
        for pause in [100, 200, 400, 400] {
            assert_eq!(circuit.failed(now, 1.0), Some(pause * MS));
            assert_eq!(circuit.failed(now, 1.0), None, "many that fail at once are one failure");
            now += pause * MS;
            // Ready is soon said.
            circuit.ready();
        }
        circuit.answered();
        assert_eq!(circuit.failed(now, 0.0), Some(50 * MS));
    }

    #[test]
    fn one_that_never_answered_stays_new() {
        let now = Instant::now();
        let mut circuit = circuit(now);
        assert_eq!(circuit.failed(now, 1.0), Some(100 * MS));
        assert_eq!(circuit.state(), State::New);
        circuit.ready();
        assert!(circuit.works());
    }
}
