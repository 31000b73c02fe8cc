//! What every service stands on: settings, logs, health, HTTP, the clock, and an orderly shutdown.
//!
//! # Invariants
//! - [`SystemClock`] is the only place that asks the operating system for the time.
//! - The environment is read once, by [`SettingsSources::from_env`]; nothing else depends on it but the level of the
//!   logs (`RUST_LOG`, `NO_COLOR`).
//! - Every fault that a person has to mend says what is wrong, where, and what to do.

pub mod admin;
mod chain;
mod clock;
mod health;
pub mod http;
mod metrics;
mod service;
mod service_group;
mod settings;
mod signal;
pub mod telemetry;
mod version;
mod waiting;

pub use chain::chain;
pub use clock::SystemClock;
pub use health::Health;
pub use metrics::registry;
pub use service::{Service, Starting};
pub use service_group::{BoxError, GroupError, ServiceGroup, Stage};
pub use settings::{
    Environment, KafkaSettings, KafkaStart, Listen, LogSettings, MlServiceSettings, PostgresSettings,
    ProcessorSettings, Retention, ScorerSettings, Secret, Settings, SettingsError, SettingsFault, SettingsSources,
    SimulatorPace, SimulatorSettings, Uses, WriterSettings,
};
pub use signal::{shutdown_signal, stop_on_signal};
pub use telemetry::LogFormat;
pub use version::version;
pub use waiting::wait_for;
