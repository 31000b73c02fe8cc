//! The shape of `config.yaml`, unchecked.

mod simulator;

use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};

pub use simulator::{RawAnomaly, RawChange, RawDraw, RawMultipleOf, RawRange, RawSimulator};

/// The file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawUseCase {
    /// Name; must be the folder's.
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
    /// The features: names, or names with their schema.
    pub features: Vec<RawFeature>,
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
    /// Field of the event, a dotted path into nested JSON.
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

/// A feature: only its name, or in full.
#[derive(Debug, Clone)]
pub enum RawFeature {
    /// Only its name.
    Name(String),
    /// In full.
    Full(RawFullFeature),
}

/// By hand: an untagged enum would hide which key of a feature is wrong.
impl<'de> Deserialize<'de> for RawFeature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FeatureVisitor;

        impl<'de> Visitor<'de> for FeatureVisitor {
            type Value = RawFeature;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a feature, or its schema")
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<RawFeature, E> {
                Ok(RawFeature::Name(name.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawFeature, A::Error> {
                RawFullFeature::deserialize(MapAccessDeserializer::new(map)).map(RawFeature::Full)
            }
        }

        deserializer.deserialize_any(FeatureVisitor)
    }
}

/// A feature in full, in the words of JSON Schema.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RawFullFeature {
    /// Field of the event, a dotted path into nested JSON.
    pub name: String,
    /// `number`, `integer`, `boolean` or `string`; none means `number`.
    #[serde(rename = "type", default)]
    pub kind: Option<String>,
    /// Unit, such as `s` or `USD`.
    #[serde(default)]
    pub unit: Option<String>,
    /// What it means.
    #[serde(default)]
    pub description: String,
    /// Whether every event must have it; true where left out.
    #[serde(default)]
    pub required: Option<bool>,
    /// Smallest value.
    #[serde(default)]
    pub minimum: Option<f64>,
    /// Every value must be larger.
    #[serde(default)]
    pub exclusive_minimum: Option<f64>,
    /// Largest value.
    #[serde(default)]
    pub maximum: Option<f64>,
    /// Every value must be smaller.
    #[serde(default)]
    pub exclusive_maximum: Option<f64>,
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
    /// Number of trees.
    #[serde(default)]
    pub trees: Option<u32>,
    /// Rows drawn for each tree.
    #[serde(default)]
    pub sample_size: Option<u32>,
    /// Seed of all randomness.
    #[serde(default)]
    pub seed: Option<u64>,
    /// Share of the training rows whose score reaches the threshold. Either this or `threshold`.
    #[serde(default)]
    pub expected_rate: Option<f64>,
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
    /// Whether it decides, or only explains what another one found.
    #[serde(default)]
    pub decides: Option<bool>,
}
