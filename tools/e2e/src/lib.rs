//! The services as processes of their own on a real Kafka and a real Postgres, and what their verdicts have to be.
//!
//! [`Stack`] is the servers, [`Process`] a service; `expected` says what must come of a log, in two ways: by the
//! pipeline in this process, to the last field, and in the plainest way that there is, to know that the pipeline is right.
//! [`chaos`] is what is done to all of them.

pub mod chaos;

mod events;
mod expected;
mod process;
mod stack;

pub use events::{all_records, payloads};
pub use expected::{Expected, Told, flagged, told, verdicts, verdicts_as_told};
pub use process::{Answer, Process, get, post};
pub use stack::{PATIENCE, Stack, until};
