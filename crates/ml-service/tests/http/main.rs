//! The service over its router, with a real model of a small use case.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod fixture;

mod documents;
mod faults;
mod limits;
mod serving;
mod shipped;
mod verdicts;
