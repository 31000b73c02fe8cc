//! Real servers for tests.

mod guard;

pub mod kafka;
pub mod postgres;
