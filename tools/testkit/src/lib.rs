//! What tests share: sample records and anomalies, a clock that stands still, a file that goes away, a browser, and the contract
//! suites that every backend of the ports in [`pulse_core::ports`] must pass.
//!
//! A backend implements [`LogBackend`] and [`AnomalyBackend`] in its test target and runs every suite by
//! [`log_contract!`] and [`anomaly_contract!`]; a suite added here reaches all backends at once.

mod samples;

#[cfg(feature = "browser-tests")]
pub mod browser;
mod clock;
mod temp;

pub mod contract;
pub mod servers;

pub use clock::FixedClock;
pub use contract::{AnomalyBackend, LogBackend};
pub use samples::{anomaly, anomaly_record, keyed, odd_anomalies, record, spread_anomaly, taxi_trip};
pub use temp::TempStore;
