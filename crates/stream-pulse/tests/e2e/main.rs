//! The real binary, run as a person would run it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod check;
mod endpoints;
mod faults;
mod http;
mod kill;
mod models;
mod process;
mod runs;
mod stored;
mod telemetry;
