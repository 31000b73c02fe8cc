//! Names that users see on the wire: topics, consumer groups and headers.

/// Header that names the use case a record belongs to. A record without it belongs to whoever reads it.
pub const HEADER_USE_CASE: &str = "pulse-use-case";
/// Header with the simulator's truth. It is read only after the verdict, to measure.
pub const HEADER_LABEL: &str = "pulse-label";
/// Header with the milliseconds by which the simulator moved a replayed event's time.
pub const HEADER_TIME_OFFSET: &str = "pulse-time-offset-ms";
/// Header with the simulator's sequence number, from which it continues after a restart.
pub const HEADER_SEQUENCE: &str = "pulse-sequence";
/// Header of a dead letter: the reasons, as a JSON array of faults.
pub const HEADER_REASONS: &str = "pulse-reasons";
/// Header of a dead letter: where the record stood, as `topic/partition/offset`.
pub const HEADER_ORIGIN: &str = "pulse-origin";
/// Header of a dead letter that was cut: the bytes that its payload had.
pub const HEADER_ORIGINAL_BYTES: &str = "pulse-original-bytes";

/// The value of [`HEADER_LABEL`] for a genuine outlier of the replayed data, which nobody injected.
pub const LABEL_GENUINE: &str = "genuine_outlier";
/// Under which labels are counted that the use case does not name.
pub const LABEL_OTHER: &str = "other";

/// Topic that carries the anomalies of all use cases.
pub const TOPIC_ANOMALIES: &str = "anomalies";
/// Consumer group of the anomaly writer.
pub const GROUP_WRITER: &str = "pulse-writer";
/// Default input topic.
pub const TOPIC_INPUT: &str = "raw_events";
/// Default number of partitions of the input topic.
pub const PARTITIONS: u32 = 12;

/// The dead-letter topic of `topic`.
#[must_use]
pub fn dead_letter_topic(topic: &str) -> String {
    format!("{topic}.dlq")
}

/// The state topic of a use case.
#[must_use]
pub fn state_topic(use_case: &str) -> String {
    format!("pulse.{use_case}.state")
}

/// The consumer group of a use case's processor.
#[must_use]
pub fn processor_group(use_case: &str) -> String {
    format!("pulse-{use_case}")
}
