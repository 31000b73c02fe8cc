//! Kafka and Postgres as a person set them: what the binaries of the services share.
//!
//! `pulse-runtime` knows what was set, and the adapters know how to get there; neither knows the other. Everything here waits
//! for a server that is not there yet, and says so by the health of the service.

#[cfg(feature = "kafka")]
mod kafka;
#[cfg(feature = "kafka")]
mod metrics;
#[cfg(feature = "postgres")]
pub mod postgres;

#[cfg(feature = "kafka")]
pub use kafka::{Kafka, kafka_settings};
#[cfg(feature = "kafka")]
pub use metrics::show_lost_records;
