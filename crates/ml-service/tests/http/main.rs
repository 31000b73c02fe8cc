//! The service over its router, with a real model of a small use case.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod fixture;

mod bad_input;
mod candidates;
mod documents;
mod faults;
mod impostors;
mod limits;
mod models;
mod oip;
mod python_client;
mod remote;
mod remote_faults;
mod remote_replicas;
mod remote_setup;
mod schemas;
mod serving;
mod shipped;
mod topics;
mod verdicts;
