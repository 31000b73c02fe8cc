//! Makes a stream of events: a use case's sample, replayed and moved to now, or drawn from its profile. Some become labelled
//! anomalies, for one event or for an episode of an entity.
//!
//! # Invariants
//! - Event number `i` is a pure function of use case, seed and `i`; only its time depends on the pace. So a run that was cut
//!   anywhere and started again leaves the same log as one that was not, in every partition.
//! - No number leaves the limits of its feature, in injected anomalies either. What a use case asks for besides (its rules, its
//!   program) is for its author to keep; [`try_out`] says where that failed.
//! - The truth travels in headers only: nothing in an event tells an injected anomaly.

mod error;
mod events;
mod metrics;
mod options;
mod refused;
mod report;
mod run;
mod schedule;

pub use error::SimulatorError;
pub use events::Events;
pub use metrics::Metrics;
pub use options::{Backpressure, Links, Pace, SimulatorOptions};
pub use refused::{Refused, Trial, try_out};
pub use report::{Progress, SimulatorReport};
pub use run::run;
