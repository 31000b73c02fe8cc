//! Real servers for tests.

mod guard;
mod ports;

pub mod kafka;
pub mod postgres;

pub use guard::Guard;
pub use ports::free_port;
