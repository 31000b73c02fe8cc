//! Replays a use case's sample as a stream of events, moved to now, with labelled anomalies injected.
//!
//! # Invariants
//! - Event number `i` is a pure function of sample, seed and `i`; only its time depends on the pace. So a run that was cut
//!   anywhere and started again leaves the same log as one that was not.
//! - Every event, injected anomalies included, passes the use case's validation.
//! - The truth travels in headers only: nothing in an event tells an injected anomaly.

mod error;
mod metrics;
mod options;
mod replay;
mod report;
mod run;
mod schedule;

pub use error::SimulatorError;
pub use metrics::Metrics;
pub use options::{Backpressure, Links, Pace, SimulatorOptions};
pub use replay::Replay;
pub use report::{Progress, SimulatorReport};
pub use run::run;
