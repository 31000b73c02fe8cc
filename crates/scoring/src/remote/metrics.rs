//! What the remote scorer measures. `docs/specs/telemetry.md` says what it means.

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use super::circuit::State;
use super::error::RemoteError;

/// Metrics of a remote scorer.
#[derive(Debug, Clone)]
pub struct RemoteMetrics {
    requests: IntCounterVec,
    addresses: IntGaugeVec,
    pub(super) in_flight: IntGauge,
    pub(super) lookup_failures: IntCounter,
    has_model: IntGauge,
}

/// What became of a request to one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Answered,
    Unreachable,
    Timeout,
    Unavailable,
    Gone,
    Refused,
    Nonsense,
}

impl Outcome {
    const ALL: [Self; 7] = [
        Self::Answered,
        Self::Unreachable,
        Self::Timeout,
        Self::Unavailable,
        Self::Gone,
        Self::Refused,
        Self::Nonsense,
    ];

    pub(super) fn of(error: &RemoteError) -> Self {
        match error {
            RemoteError::Timeout { .. } => Self::Timeout,
            RemoteError::Unavailable { .. } => Self::Unavailable,
            RemoteError::Gone { .. } => Self::Gone,
            RemoteError::Refused { .. } => Self::Refused,
            RemoteError::TooLarge { .. } | RemoteError::Nonsense { .. } => Self::Nonsense,
            _ => Self::Unreachable,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::Gone => "gone",
            Self::Refused => "refused",
            Self::Nonsense => "nonsense",
        }
    }
}

impl RemoteMetrics {
    /// Registers them in `registry`.
    ///
    /// # Errors
    /// When one of that name is registered already.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Self {
            requests: IntCounterVec::new(
                Opts::new(
                    "pulse_scorer_requests_total",
                    "Requests to an address of the ML service, by what became of them.",
                ),
                &["outcome"],
            )?,
            addresses: IntGaugeVec::new(
                Opts::new(
                    "pulse_scorer_addresses",
                    "Addresses of the ML service, by the state of their circuit breaker.",
                ),
                &["state"],
            )?,
            in_flight: IntGauge::new("pulse_scorer_requests_in_flight", "Requests that wait for their answer.")?,
            lookup_failures: IntCounter::new(
                "pulse_scorer_lookup_failures_total",
                "Lookups of the ML service's name that failed or found no address.",
            )?,
            has_model: IntGauge::new(
                "pulse_scorer_has_model",
                "1 once a model of the ML service scores, 0 while it has none yet.",
            )?,
        };
        registry.register(Box::new(metrics.requests.clone()))?;
        registry.register(Box::new(metrics.addresses.clone()))?;
        registry.register(Box::new(metrics.in_flight.clone()))?;
        registry.register(Box::new(metrics.lookup_failures.clone()))?;
        registry.register(Box::new(metrics.has_model.clone()))?;
        for outcome in Outcome::ALL {
            metrics.requests.with_label_values(&[outcome.as_str()]);
        }
        metrics.show(&[]);
        Ok(metrics)
    }

    pub(super) fn count(&self, outcome: Outcome) {
        self.requests.with_label_values(&[outcome.as_str()]).inc();
    }

    pub(super) fn show_model(&self) {
        self.has_model.set(1);
    }

    /// Shows how many of `states` there are.
    pub(super) fn show(&self, states: &[State]) {
        for state in State::ALL {
            let count = states.iter().filter(|&&found| found == state).count();
            self.addresses.with_label_values(&[state.as_str()]).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
}
