//! The house rules that neither the compiler nor clippy knows.

#![expect(clippy::unwrap_used, reason = "a file that cannot be read fails the test, as it should")]

mod architecture;
mod dependencies;
mod documents;
mod errors;
mod files;
mod modules;
mod monitoring;
mod telemetry;
mod workspace;
