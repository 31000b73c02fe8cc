//! The Postgres store, on a real server.

mod contract;
mod faults;
mod fixture;
mod partitions;
mod restart;
mod retention;
mod values;
