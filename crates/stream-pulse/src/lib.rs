//! The command line of Stream Pulse: `up` runs all services in one process on the embedded store.

pub mod check;
pub mod cli;
pub mod up;

mod summary;
