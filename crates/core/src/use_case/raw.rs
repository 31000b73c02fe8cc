//! The shape of `config.yaml`, unchecked.

mod feature;
mod rule;
mod simulator;

use std::collections::BTreeMap;

use serde::Deserialize;

pub use feature::{RawConstant, RawFeature, RawFullFeature};
pub use rule::{RawFullRule, RawRule};
pub use simulator::{
    RawAnomaly, RawChange, RawDraw, RawEntities, RawFeatureProfile, RawMultipleOf, RawProfile, RawRange, RawSimulator,
};

/// The file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawUseCase {
    /// Name; must be the folder's. Left out, it is empty, which is a fault to be told with all others.
    #[serde(default)]
    pub name: String,
    /// What it is about.
    #[serde(default)]
    pub description: String,
    /// The entity key; none means the record's key.
    #[serde(default)]
    pub entity: Option<RawEntity>,
    /// The timestamp field; none means the record's timestamp.
    #[serde(default)]
    pub timestamp: Option<RawTimestamp>,
    /// The features: names, or names with their schema. Left out, as for the name.
    #[serde(default)]
    pub features: Vec<RawFeature>,
    /// What the fields of an event must be to each other.
    #[serde(default)]
    pub rules: Vec<RawRule>,
    /// Limits of an event as a whole.
    #[serde(default)]
    pub payload: RawPayload,
    /// Topics.
    #[serde(default)]
    pub kafka: RawKafka,
    /// Metrics.
    #[serde(default)]
    pub metrics: RawMetrics,
    /// Detectors; none means the defaults.
    #[serde(default)]
    pub detectors: Option<RawDetectors>,
    /// The simulator.
    #[serde(default)]
    pub simulator: RawSimulator,
}

/// Where the entity stands.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawEntity {
    /// Field of the event: a path into nested JSON, as features have one.
    pub field: String,
}

/// Where the event's time stands.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawTimestamp {
    /// Field of the event: RFC 3339 text, or a number of milliseconds since the Unix epoch.
    pub field: String,
    /// Seconds by which it may be ahead of the record's own timestamp.
    #[serde(default)]
    pub max_ahead_seconds: Option<f64>,
}

/// Limits of an event as a whole.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawPayload {
    /// Longest event, in bytes.
    #[serde(default)]
    pub max_bytes: Option<u32>,
    /// Deepest nesting of objects and arrays.
    #[serde(default)]
    pub max_depth: Option<u32>,
}

/// Topics of a use case.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawKafka {
    /// Input topic; `raw_events` where left out.
    #[serde(default)]
    pub topic: Option<String>,
}

/// Metrics of a use case.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawMetrics {
    /// Prefix of its own metrics; its name where left out.
    #[serde(default)]
    pub prefix: Option<String>,
    /// Labels that all of them have, with their values.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// The detectors.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawDetectors {
    /// The isolation forest; left out, there is none.
    #[serde(default)]
    pub isolation_forest: Option<RawForest>,
    /// The rolling z-score; left out, there is none.
    #[serde(default)]
    pub rolling_zscore: Option<RawRolling>,
}

/// Settings of the isolation forest.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawForest {
    /// Columns that it sees, raw or derived; all numeric features where left out.
    #[serde(default)]
    pub features: Option<Vec<String>>,
    /// Which forest it is: `plain` or `accurate`.
    #[serde(default)]
    pub kind: Option<String>,
    /// Number of trees.
    #[serde(default)]
    pub trees: Option<u32>,
    /// Rows drawn for each tree.
    #[serde(default)]
    pub sample_size: Option<u32>,
    /// Seed of all randomness.
    #[serde(default)]
    pub seed: Option<u64>,
    /// Share of the training rows whose score reaches the threshold. Either this, `quantile` or `threshold`.
    #[serde(default)]
    pub expected_rate: Option<f64>,
    /// The quantile of the training scores that is the threshold.
    #[serde(default)]
    pub quantile: Option<f64>,
    /// The threshold itself.
    #[serde(default)]
    pub threshold: Option<f64>,
    /// Whether it decides, or only explains what another one found.
    #[serde(default)]
    pub decides: Option<bool>,
}

/// Settings of the rolling z-score.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawRolling {
    /// Columns that it watches, raw or derived; all numeric features where left out.
    #[serde(default)]
    pub features: Option<Vec<String>>,
    /// Values that it looks back on.
    #[serde(default)]
    pub window: Option<u32>,
    /// Values that it wants to have seen before it judges.
    #[serde(default)]
    pub min_values: Option<u32>,
    /// Deviations from the mean at which it fires.
    #[serde(default)]
    pub threshold: Option<f64>,
    /// Entities that are remembered of each partition at the most.
    #[serde(default)]
    pub max_entities: Option<u32>,
    /// Whether it decides, or only explains what another one found.
    #[serde(default)]
    pub decides: Option<bool>,
}
