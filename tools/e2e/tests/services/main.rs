//! The services, each a process of its own, on a real Kafka and a real Postgres.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bad_records;
mod chaos;
mod faults;
mod first_model;
mod pipeline;
mod use_cases;
mod waiting;
mod writer;
