//! What a batch came to.

use pulse_core::{NewRecord, Severity, TimestampMs};

use crate::columns::ColumnCounts;

/// How many records took which way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records read.
    pub read: u64,
    /// Events that got a verdict.
    pub judged: u64,
    /// Records of another use case.
    pub skipped: u64,
    /// Records that failed validation.
    pub dead_letters: u64,
    /// Anomalies by severity: warning, high, critical.
    pub anomalies: [u64; 3],
    /// Anomalies for which the isolation forest fired.
    pub by_forest: u64,
    /// Anomalies for which the rolling rule fired.
    pub by_rolling: u64,
}

impl Counts {
    /// Anomalies of all severities.
    #[must_use]
    pub fn all_anomalies(&self) -> u64 {
        self.anomalies.iter().sum()
    }

    pub(crate) fn add_anomaly(&mut self, severity: Severity) {
        let index = match severity {
            Severity::Warning => 0,
            Severity::High => 1,
            Severity::Critical => 2,
        };
        self.anomalies[index] += 1;
    }
}

/// A verdict, as far as measuring it needs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judged {
    /// When the event's producer created the record.
    pub timestamp: TimestampMs,
    /// Index into [`Plan::labels`](crate::Plan::labels).
    pub label: u16,
    /// Whether it is an anomaly.
    pub anomaly: bool,
    /// The strongest deciding detector's `score / (score + threshold)`, in `[0, 1)`: 0.5 is its threshold.
    pub strength: f32,
}

/// What a batch came to: everything that has to become visible together with its end.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Anomalies and dead letters, in the order of their events.
    pub outputs: Vec<NewRecord>,
    /// Counts.
    pub counts: Counts,
    /// One for each event that got a verdict, in order.
    pub judged: Vec<Judged>,
    /// How the values of the columns are spread, where the plan counts them.
    pub columns: ColumnCounts,
}
