//! Settings of a run, and what came of it.

use std::sync::Arc;
use std::time::Duration;

use pulse_core::names::TOPIC_ANOMALIES;

/// Settings of the writer.
#[derive(Debug, Clone)]
pub struct WriterOptions {
    /// The topic; its dead letters go to the same name with `.dlq`.
    pub topic: Arc<str>,
    /// Anomalies that are stored at once, at most about.
    pub batch_records: usize,
    /// How long an anomaly waits for others to be stored with.
    pub linger: Duration,
    /// The first pause after a failure; each further one is twice as long, up to `longest_pause`.
    pub first_pause: Duration,
    /// The longest pause between two attempts.
    pub longest_pause: Duration,
    /// How long, after the stop, what stands in the topic may still be read and stored.
    pub drain: Duration,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self {
            topic: Arc::from(TOPIC_ANOMALIES),
            batch_records: 2000,
            linger: Duration::from_millis(10),
            first_pause: Duration::from_millis(50),
            longest_pause: Duration::from_secs(5),
            drain: Duration::from_secs(10),
        }
    }
}

/// What a run did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WriterReport {
    /// Anomalies stored.
    pub anomalies: u64,
    /// Records that became dead letters.
    pub dead_letters: u64,
    /// Whether all that was wanted at the stop is stored. If not, the next run goes on there.
    pub drained: bool,
}
