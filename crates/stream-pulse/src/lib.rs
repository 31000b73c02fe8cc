//! The command line of Stream Pulse: `up` runs all services in one process on the embedded store; `train` and `models` make and
//! choose models.

pub mod check;
pub mod cli;
pub mod models;
pub mod train;
pub mod up;

mod summary;
