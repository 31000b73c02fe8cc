//! Tests on a real broker: the one that `PULSE_TEST_KAFKA` names, else one that is started for this program. Tests that harm
//! their broker start one of their own.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod broker;
mod bystander;
mod contract;
mod fencing;
mod group;
mod outage;
mod reading;
mod topics;
mod welcome;
