//! The shape of `config.yaml`, unchecked.

use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};

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

/// The simulator.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawSimulator {
    /// Share of the sample, from its beginning, that the model is trained on; the rest is replayed.
    #[serde(default)]
    pub train_fraction: Option<f64>,
    /// Column of the sample that marks genuine outliers (any value but empty and `0`). It is no part of the event.
    #[serde(default)]
    pub genuine_outlier_column: Option<String>,
    /// Other time fields that move together with the timestamp field.
    #[serde(default)]
    pub also_move: Vec<String>,
    /// Condition on the row for an injection, as column and range.
    #[serde(default)]
    pub eligible: Vec<RawRange>,
    /// Kinds of anomalies that it injects.
    #[serde(default)]
    pub anomalies: Vec<RawAnomaly>,
}

/// A closed range of a column.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawRange {
    /// The column.
    pub feature: String,
    /// Its smallest value.
    #[serde(default)]
    pub minimum: Option<f64>,
    /// Its largest value.
    #[serde(default)]
    pub maximum: Option<f64>,
}

/// A kind of anomaly: the changes that it makes to an event.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawAnomaly {
    /// Name, the value of the header `pulse-label`.
    pub name: String,
    /// What it is like.
    #[serde(default)]
    pub description: String,
    /// The changes, in order.
    pub changes: Vec<RawChange>,
}

/// One change of one field. Exactly one of `multiply`, `divide`, `set` and `multiple_of` is given, as a range that is
/// drawn from uniformly, or as one number.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawChange {
    /// The field that changes.
    pub feature: String,
    /// Multiply it by this.
    #[serde(default)]
    pub multiply: Option<RawDraw>,
    /// Divide it by this.
    #[serde(default)]
    pub divide: Option<RawDraw>,
    /// Set it to this.
    #[serde(default)]
    pub set: Option<RawDraw>,
    /// Set it to another field times this.
    #[serde(default)]
    pub multiple_of: Option<RawMultipleOf>,
    /// A field that changes by the same amount: a sum that this field is part of.
    #[serde(default)]
    pub add_to: Option<String>,
    /// Decimal places of the result; 2 where left out.
    #[serde(default)]
    pub decimals: Option<u8>,
}

/// Another field times a number.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawMultipleOf {
    /// The other field.
    pub feature: String,
    /// The number.
    pub times: RawDraw,
}

/// A number, or a range to draw one from uniformly.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(untagged, expecting = "must be a number, or a range such as [4, 12]")]
pub enum RawDraw {
    /// Always this.
    Fixed(f64),
    /// Between these two.
    Between([f64; 2]),
}
