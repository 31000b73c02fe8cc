//! Real servers for tests.

mod guard;
mod ports;

pub mod kafka;
pub mod postgres;

pub use ports::free_port;
