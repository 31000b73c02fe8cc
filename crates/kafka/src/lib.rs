//! The event log on Kafka, behind the ports of [`pulse_core::ports`]; the only crate that names rdkafka.
//!
//! [`KafkaProducer`] writes, [`KafkaSource`] reads as a member of a consumer group, [`KafkaReader`] without any, and
//! [`KafkaCommitter`] commits outputs, state and position of a partition in one transaction. [`ensure_topics`] makes and checks what they need.
//!
//! # Invariants
//! - Only what is committed is read, and an offset that was handed out as `next_offset` has nothing unread before it.
//! - Whoever restored a partition last holds it: the transactional id of the partition fences everyone before, and that
//!   happens before the committed offset is read.
//! - No call waits for librdkafka on a thread of the async runtime: it is polled by threads of this crate.
//! - Memory is bounded, whatever the backlog: librdkafka's queue and the channel behind it have limits in bytes.
//! - No password reaches a log, a text for people or a `Debug`.

mod error;
mod settings;

mod batch;
mod context;
mod query;
mod reading;

mod admin;
mod aside;
mod catalog;
mod onlooker;
mod probe;
mod topics;

mod committer;
mod producer;
mod reader;
mod source;

pub use catalog::{partitions_of, partitions_of_new};
pub use committer::{KafkaCommitter, StartAt};
pub use context::Link;
pub use error::KafkaError;
pub use onlooker::Onlooker;
pub use probe::wait_for_brokers;
pub use producer::KafkaProducer;
pub use reader::KafkaReader;
pub use settings::KafkaSettings;
pub use source::{KafkaSource, LostRecords};
pub use topics::{SPREADING, TopicSpec, ensure_topics};
