//! What the API answers, as JSON.

use jiff::Timestamp;
use pulse_core::Anomaly;
use pulse_core::ports::StoredAnomaly;
use serde::Serialize;

/// An anomaly with its place in the order of arrival.
#[derive(Debug, Serialize)]
pub(crate) struct StoredView<'a> {
    sequence: u64,
    #[serde(flatten)]
    anomaly: &'a Anomaly,
}

impl<'a> From<&'a StoredAnomaly> for StoredView<'a> {
    fn from(stored: &'a StoredAnomaly) -> Self {
        Self { sequence: stored.sequence, anomaly: &stored.anomaly }
    }
}

/// The answer of `/api/anomalies`. Whatever has a sequence of at most `sequence` was taken into account, here and below.
#[derive(Debug, Serialize)]
pub(crate) struct AnomaliesView<'a> {
    pub(crate) sequence: u64,
    pub(crate) anomalies: Vec<StoredView<'a>>,
}

/// Anomalies of one interval, by severity.
#[derive(Debug, Serialize, PartialEq)]
pub(crate) struct BucketView {
    pub(crate) start: Timestamp,
    pub(crate) count: u64,
    #[serde(flatten)]
    pub(crate) severities: Severities,
    pub(crate) mean_score: f64,
    pub(crate) max_score: f64,
}

/// The answer of `/api/series`. Buckets start at whole multiples of their length since the Unix epoch.
#[derive(Debug, Serialize)]
pub(crate) struct SeriesView {
    pub(crate) sequence: u64,
    pub(crate) from: Timestamp,
    pub(crate) to: Option<Timestamp>,
    pub(crate) bucket_seconds: u64,
    pub(crate) buckets: Vec<BucketView>,
}

/// A group and its size.
#[derive(Debug, Serialize)]
pub(crate) struct GroupView {
    pub(crate) name: String,
    pub(crate) count: u64,
}

/// The answer of `/api/top`.
#[derive(Debug, Serialize)]
pub(crate) struct TopView {
    pub(crate) sequence: u64,
    pub(crate) groups: Vec<GroupView>,
}

/// Counts by severity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Severities {
    pub(crate) warning: u64,
    pub(crate) high: u64,
    pub(crate) critical: u64,
}

/// Counts of a period.
#[derive(Debug, Serialize)]
pub(crate) struct CountsView {
    pub(crate) total: u64,
    #[serde(flatten)]
    pub(crate) severities: Severities,
}

impl From<Severities> for CountsView {
    fn from(severities: Severities) -> Self {
        Self { total: severities.warning + severities.high + severities.critical, severities }
    }
}

/// The answer of `/api/summary`.
#[derive(Debug, Serialize)]
pub(crate) struct SummaryView {
    pub(crate) sequence: u64,
    /// The later of the server's clock and the newest event time: where the periods below end.
    pub(crate) as_of: Timestamp,
    /// Event time of the newest anomaly that matches the filter.
    pub(crate) latest: Option<Timestamp>,
    pub(crate) minute: CountsView,
    pub(crate) quarter_hour: CountsView,
    pub(crate) hour: CountsView,
}
