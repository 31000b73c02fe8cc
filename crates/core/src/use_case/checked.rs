//! The checked use case: valid by construction.

mod simulator;

use std::collections::HashSet;
use std::fmt;
use std::ops::RangeInclusive;

use super::raw::{RawDetectors, RawFeature, RawForest, RawFullFeature, RawRolling, RawUseCase};
use crate::names::TOPIC_INPUT;

pub use simulator::{SimulatedAnomaly, SimulatorSettings};

/// A fault of a configuration: where, what, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFault {
    /// Path of the key, such as `features[2].minimum`.
    pub path: String,
    /// What is wrong and how to mend it.
    pub message: String,
}

impl fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// Type of a feature, in the words of JSON Schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeatureType {
    /// Any finite number.
    Number,
    /// A number without a fraction.
    Integer,
    /// `true` or `false`; 1 or 0 for a model.
    Boolean,
    /// Text; no model sees it.
    String,
}

impl FeatureType {
    /// Its name in JSON Schema.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Integer => "integer",
            Self::Boolean => "boolean",
            Self::String => "string",
        }
    }

    /// Whether a model can see it.
    #[must_use]
    pub fn is_numeric(self) -> bool {
        self != Self::String
    }
}

/// Limits of a number.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Bounds {
    /// Smallest value.
    pub minimum: Option<f64>,
    /// Every value is larger.
    pub exclusive_minimum: Option<f64>,
    /// Largest value.
    pub maximum: Option<f64>,
    /// Every value is smaller.
    pub exclusive_maximum: Option<f64>,
}

/// A field of the events.
#[derive(Debug, Clone, PartialEq)]
pub struct Feature {
    /// Its name: a dotted path into nested JSON.
    pub name: String,
    /// Its type.
    pub kind: FeatureType,
    /// Its unit.
    pub unit: Option<String>,
    /// What it means.
    pub description: String,
    /// Whether every event must have it.
    pub required: bool,
    /// Its limits.
    pub bounds: Bounds,
}

/// Where the entity stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entity {
    /// In the record's key.
    Key,
    /// In this field.
    Field(String),
}

/// Where the event's time stands.
#[derive(Debug, Clone, PartialEq)]
pub struct TimestampField {
    /// The field; none means the record's timestamp.
    pub field: Option<String>,
    /// Milliseconds by which it may be ahead of the record's own timestamp.
    pub max_ahead_ms: i64,
}

/// Settings of the isolation forest.
#[derive(Debug, Clone, PartialEq)]
pub struct ForestSettings {
    /// Columns that it sees; none means all numeric ones, raw and derived.
    pub features: Option<Vec<String>>,
    /// Number of trees.
    pub trees: u32,
    /// Rows drawn for each tree.
    pub sample_size: u32,
    /// Seed of all randomness.
    pub seed: u64,
    /// Share of the training rows whose score reaches the threshold, in `(0, 0.5]`; unused with a fixed threshold.
    pub expected_rate: f64,
    /// A fixed threshold, in `(0, 1)`.
    pub threshold: Option<f64>,
    /// Whether it decides.
    pub decides: bool,
}

/// Settings of the rolling z-score.
#[derive(Debug, Clone, PartialEq)]
pub struct RollingSettings {
    /// Columns that it watches; none means all numeric ones, raw and derived.
    pub features: Option<Vec<String>>,
    /// Values that it looks back on.
    pub window: u32,
    /// Values that it wants to have seen before it judges.
    pub min_values: u32,
    /// Deviations at which it fires.
    pub threshold: f64,
    /// Whether it decides.
    pub decides: bool,
}

/// The detectors.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DetectorSettings {
    /// The isolation forest.
    pub forest: Option<ForestSettings>,
    /// The rolling z-score.
    pub rolling: Option<RollingSettings>,
}

/// A use case whose settings are known to be valid.
#[derive(Debug, Clone)]
pub struct UseCase {
    /// Its name.
    pub name: String,
    /// What it is about.
    pub description: String,
    /// The entity.
    pub entity: Entity,
    /// The time.
    pub timestamp: TimestampField,
    /// The fields of its events.
    pub features: Vec<Feature>,
    /// The input topic.
    pub topic: String,
    /// Prefix of its own metrics.
    pub metrics_prefix: String,
    /// The detectors.
    pub detectors: DetectorSettings,
    /// The simulator.
    pub simulator: SimulatorSettings,
}

impl TryFrom<RawUseCase> for UseCase {
    type Error = Vec<ConfigFault>;

    fn try_from(raw: RawUseCase) -> Result<Self, Self::Error> {
        let mut faults = Faults::default();
        if !is_identifier(&raw.name) {
            faults.add("name", format!("{:?} must be letters, digits and `_`, not starting with a digit", raw.name));
        }
        let features = features(raw.features, &mut faults);
        let timestamp = timestamp(raw.timestamp, &mut faults);
        let topic = raw.kafka.topic.unwrap_or_else(|| TOPIC_INPUT.to_owned());
        if !is_topic(&topic) {
            let message = format!("{topic:?} is no topic name: 1 to 249 of letters, digits, `.`, `_` and `-`");
            faults.add("kafka.topic", message);
        }
        let metrics_prefix = raw.metrics.prefix.unwrap_or_else(|| raw.name.clone());
        if !is_identifier(&metrics_prefix) {
            let message = format!("{metrics_prefix:?} must be letters, digits and `_`, not starting with a digit");
            faults.add("metrics.prefix", message);
        }
        let detectors = detectors(raw.detectors, &mut faults);
        let simulator = simulator::check(raw.simulator, &features, timestamp.field.as_deref(), &mut faults);
        faults.into_result(Self {
            name: raw.name,
            description: raw.description,
            entity: raw.entity.map_or(Entity::Key, |entity| Entity::Field(entity.field)),
            timestamp,
            features,
            topic,
            metrics_prefix,
            detectors,
            simulator,
        })
    }
}

#[derive(Default)]
struct Faults(Vec<ConfigFault>);

impl Faults {
    fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push(ConfigFault { path: path.into(), message: message.into() });
    }

    fn into_result<T>(self, value: T) -> Result<T, Vec<ConfigFault>> {
        if self.0.is_empty() { Ok(value) } else { Err(self.0) }
    }

    /// `value`, or `default` and a fault where it is outside of `range`.
    fn in_range<N: PartialOrd + fmt::Display + Copy>(
        &mut self,
        path: &str,
        value: Option<N>,
        default: N,
        range: RangeInclusive<N>,
    ) -> N {
        let value = value.unwrap_or(default);
        if range.contains(&value) {
            return value;
        }
        self.add(path, format!("{value} must be between {} and {}", range.start(), range.end()));
        default
    }
}

fn is_identifier(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn is_topic(text: &str) -> bool {
    (1..=249).contains(&text.len())
        && text != "."
        && text != ".."
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

fn features(raw: Vec<RawFeature>, faults: &mut Faults) -> Vec<Feature> {
    if raw.is_empty() {
        faults.add("features", "is empty: name at least one field of the events");
    }
    let mut seen = HashSet::new();
    let mut features = Vec::with_capacity(raw.len());
    for (i, raw) in raw.into_iter().enumerate() {
        let path = format!("features[{i}]");
        let feature = match raw {
            RawFeature::Name(name) => Feature {
                name,
                kind: FeatureType::Number,
                unit: None,
                description: String::new(),
                required: true,
                bounds: Bounds::default(),
            },
            RawFeature::Full(full) => full_feature(full, &path, faults),
        };
        if feature.name.is_empty() || feature.name.split('.').any(str::is_empty) {
            faults.add(&path, format!("{:?} is no field: write `field` or `outer.inner`", feature.name));
        }
        if !seen.insert(feature.name.clone()) {
            faults.add(&path, format!("{:?} is there twice: remove one", feature.name));
        }
        features.push(feature);
    }
    features
}

fn full_feature(raw: RawFullFeature, path: &str, faults: &mut Faults) -> Feature {
    let kind = match raw.kind.as_deref().unwrap_or("number") {
        "number" => FeatureType::Number,
        "integer" => FeatureType::Integer,
        "boolean" => FeatureType::Boolean,
        "string" => FeatureType::String,
        other => {
            faults.add(format!("{path}.type"), format!("{other:?} must be number, integer, boolean or string"));
            FeatureType::Number
        }
    };
    let bounds = Bounds {
        minimum: raw.minimum,
        exclusive_minimum: raw.exclusive_minimum,
        maximum: raw.maximum,
        exclusive_maximum: raw.exclusive_maximum,
    };
    let given = [bounds.minimum, bounds.exclusive_minimum, bounds.maximum, bounds.exclusive_maximum];
    if given.iter().flatten().any(|bound| !bound.is_finite()) {
        faults.add(path, "its limits must be finite numbers");
    }
    if matches!(kind, FeatureType::Boolean | FeatureType::String) && given.iter().any(Option::is_some) {
        faults.add(path, format!("a {} has no limits: remove them", kind.as_str()));
    }
    let low = bounds.minimum.into_iter().chain(bounds.exclusive_minimum).fold(f64::NEG_INFINITY, f64::max);
    let high = bounds.maximum.into_iter().chain(bounds.exclusive_maximum).fold(f64::INFINITY, f64::min);
    if low > high {
        faults.add(path, format!("no value can be at least {low} and at most {high}"));
    }
    Feature {
        name: raw.name,
        kind,
        unit: raw.unit,
        description: raw.description,
        required: raw.required.unwrap_or(true),
        bounds,
    }
}

fn timestamp(raw: Option<super::raw::RawTimestamp>, faults: &mut Faults) -> TimestampField {
    /// Five minutes: more than clocks drift, less than would move a window.
    const DEFAULT_MAX_AHEAD: f64 = 300.0;
    let (field, ahead) = raw.map_or((None, None), |raw| (Some(raw.field), raw.max_ahead_seconds));
    let seconds = faults.in_range("timestamp.max_ahead_seconds", ahead, DEFAULT_MAX_AHEAD, 0.0..=31_536_000.0);
    #[expect(clippy::cast_possible_truncation, reason = "checked to be at most a year")]
    let max_ahead_ms = (seconds * 1000.0) as i64;
    TimestampField { field, max_ahead_ms }
}

fn detectors(raw: Option<RawDetectors>, faults: &mut Faults) -> DetectorSettings {
    let raw = raw.unwrap_or_else(|| RawDetectors {
        isolation_forest: Some(RawForest::default()),
        rolling_zscore: Some(RawRolling::default()),
    });
    let forest = raw.isolation_forest.map(|raw| forest(raw, faults));
    let rolling = raw.rolling_zscore.map(|raw| rolling(raw, faults));
    let decides = forest.as_ref().is_some_and(|f| f.decides) || rolling.as_ref().is_some_and(|r| r.decides);
    if !decides {
        faults.add("detectors", "none decides, so nothing would be found: let one have `decides: true`");
    }
    DetectorSettings { forest, rolling }
}

fn forest(raw: RawForest, faults: &mut Faults) -> ForestSettings {
    const PATH: &str = "detectors.isolation_forest";
    if raw.expected_rate.is_some() && raw.threshold.is_some() {
        faults.add(PATH, "`expected_rate` and `threshold` exclude each other: remove one");
    }
    let in_half_open = |value: f64, high: f64| value > 0.0 && value <= high;
    let expected_rate = raw.expected_rate.unwrap_or(0.01);
    if !in_half_open(expected_rate, 0.5) {
        faults.add(format!("{PATH}.expected_rate"), format!("{expected_rate} must be above 0 and at most 0.5"));
    }
    if let Some(threshold) = raw.threshold.filter(|&threshold| !in_half_open(threshold, 1.0)) {
        faults.add(format!("{PATH}.threshold"), format!("{threshold} must be above 0 and at most 1"));
    }
    ForestSettings {
        features: raw.features,
        trees: faults.in_range(&format!("{PATH}.trees"), raw.trees, 100, 1..=10_000),
        sample_size: faults.in_range(&format!("{PATH}.sample_size"), raw.sample_size, 256, 2..=1_048_576),
        seed: raw.seed.unwrap_or(0),
        expected_rate,
        threshold: raw.threshold,
        decides: raw.decides.unwrap_or(true),
    }
}

fn rolling(raw: RawRolling, faults: &mut Faults) -> RollingSettings {
    const PATH: &str = "detectors.rolling_zscore";
    let window = faults.in_range(&format!("{PATH}.window"), raw.window, 100, 2..=65_536);
    RollingSettings {
        features: raw.features,
        window,
        min_values: faults.in_range(&format!("{PATH}.min_values"), raw.min_values, 30.min(window), 2..=window),
        threshold: faults.in_range(&format!("{PATH}.threshold"), raw.threshold, 3.0, f64::MIN_POSITIVE..=1e9),
        decides: raw.decides.unwrap_or(true),
    }
}

#[cfg(test)]
mod tests;
