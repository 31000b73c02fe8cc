//! The checked use case: valid by construction.

mod faults;
mod feature;
mod simulator;

use std::collections::BTreeMap;

use super::raw::{RawDetectors, RawForest, RawPayload, RawRolling, RawRule, RawUseCase};
use crate::metric_names::RESERVED_LABELS;
use crate::names::{TOPIC_ANOMALIES, TOPIC_INPUT, dead_letter_topic};

use faults::Faults;

pub use faults::ConfigFault;
pub use feature::{Bounds, Constant, Feature, FeatureType, TextLimits};
pub use simulator::{
    Distribution, Draw, Entities, FeatureProfile, NumberLimits, NumberProfile, Profile, SimulatedAnomaly,
    SimulatorSettings,
};

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

/// What the fields of every event must be to each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Two sides and a comparison between them. Whether its names are columns is for those to check who know them.
    pub text: String,
    /// What to say of an event that breaks it.
    pub message: Option<String>,
}

/// Limits of an event as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PayloadLimits {
    /// Longest event, in bytes.
    pub max_bytes: usize,
    /// Deepest nesting of objects and arrays.
    pub max_depth: usize,
}

/// A mebibyte, as much as Kafka takes by default, and more levels than people nest.
impl Default for PayloadLimits {
    fn default() -> Self {
        Self { max_bytes: 1 << 20, max_depth: 32 }
    }
}

/// Which forest it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ForestKind {
    /// The one of the paper: fast.
    #[default]
    Plain,
    /// One that weighs in neighbourhoods and density, too: splits on two columns, trees on samples of many sizes. It had the higher mean
    /// area under the ROC curve on eight data sets, was better on half of them, and costs 12 to 38 times as much.
    Accurate,
}

/// Settings of the isolation forest.
#[derive(Debug, Clone, PartialEq)]
pub struct ForestSettings {
    /// Columns that it sees; none means all numeric ones, raw and derived.
    pub features: Option<Vec<String>>,
    /// Which forest it is.
    pub kind: ForestKind,
    /// Number of trees.
    pub trees: u32,
    /// Rows drawn for each tree, at the most.
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
    /// Entities that are remembered of each partition at the most: of more, those least recently seen are forgotten.
    pub max_entities: u32,
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

impl DetectorSettings {
    /// Whether nothing can be found without a model, as the forest decides and nothing else does.
    #[must_use]
    pub fn need_a_model(&self) -> bool {
        self.forest.as_ref().is_some_and(|forest| forest.decides)
            && self.rolling.as_ref().is_none_or(|rolling| !rolling.decides)
    }
}

impl ForestSettings {
    /// The columns of a model that is trained by these settings, where `all` are all that there are.
    #[must_use]
    pub fn columns<'a>(&self, all: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        self.features.clone().unwrap_or_else(|| all.into_iter().map(str::to_owned).collect())
    }
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
    /// What they must be to each other.
    pub rules: Vec<Rule>,
    /// Limits of an event as a whole.
    pub payload: PayloadLimits,
    /// The input topic.
    pub topic: String,
    /// Prefix of its own metrics.
    pub metrics_prefix: String,
    /// Labels that all of them have, with their values.
    pub metrics_labels: BTreeMap<String, String>,
    /// The detectors.
    pub detectors: DetectorSettings,
    /// The simulator.
    pub simulator: SimulatorSettings,
}

impl TryFrom<RawUseCase> for UseCase {
    type Error = Vec<ConfigFault>;

    fn try_from(raw: RawUseCase) -> Result<Self, Self::Error> {
        let (use_case, faults) = Self::check(raw);
        if faults.is_empty() { Ok(use_case) } else { Err(faults) }
    }
}

impl UseCase {
    /// The use case, and all faults of `raw`. Where there is a fault, something stands in for the value at fault, so that what
    /// depends on it can be checked too; such a use case must not be run.
    #[must_use]
    pub fn check(raw: RawUseCase) -> (Self, Vec<ConfigFault>) {
        let mut faults = Faults::default();
        check_name(&raw.name, &mut faults);
        let entity = raw.entity.map_or(Entity::Key, |entity| Entity::Field(entity.field));
        if let Entity::Field(field) = &entity {
            check_field("entity.field", field, &mut faults);
        }
        let timestamp = timestamp(raw.timestamp, &mut faults);
        let features = feature::features(raw.features, &mut faults);
        let rules = rules(raw.rules, &mut faults);
        let payload = payload(&raw.payload, &mut faults);
        let topic = raw.kafka.topic.unwrap_or_else(|| TOPIC_INPUT.to_owned());
        check_topic(&topic, &mut faults);
        let metrics_prefix = raw.metrics.prefix.unwrap_or_else(|| raw.name.clone());
        // A name at fault is a fault already.
        if metrics_prefix != raw.name || is_identifier(&raw.name) {
            check_prefix(&metrics_prefix, &mut faults);
        }
        check_labels(&raw.metrics.labels, &mut faults);
        let detectors = detectors(raw.detectors, &mut faults);
        let fields = simulator::Fields { features: &features, entity: &entity, timestamp: timestamp.field.as_deref() };
        let simulator = simulator::check(raw.simulator, fields, &mut faults);
        let use_case = Self {
            name: raw.name,
            description: raw.description,
            entity,
            timestamp,
            features,
            rules,
            payload,
            topic,
            metrics_prefix,
            metrics_labels: raw.metrics.labels,
            detectors,
            simulator,
        };
        (use_case, faults.into_vec())
    }
}

fn is_identifier(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn check_name(name: &str, faults: &mut Faults) {
    /// It becomes part of names of topics and consumer groups, which have limits of their own.
    const LONGEST: usize = 100;
    if name.is_empty() {
        faults.add("name", "is missing: give the use case the name of its folder");
    } else if !is_identifier(name) {
        faults.add("name", format!("{name:?} must be letters, digits and `_`, not starting with a digit"));
    } else if name.len() > LONGEST {
        faults.add("name", format!("has {} characters: give it at most {LONGEST}", name.len()));
    }
}

fn check_prefix(prefix: &str, faults: &mut Faults) {
    let message = if !is_identifier(prefix) {
        format!("{prefix:?} must be letters, digits and `_`, not starting with a digit")
    } else if prefix == "pulse" || prefix.starts_with("pulse_") || prefix.starts_with("__") {
        format!("{prefix:?} is taken by Stream Pulse or Prometheus: choose one that begins otherwise")
    } else {
        return;
    };
    faults.add("metrics.prefix", message);
}

fn check_labels(labels: &BTreeMap<String, String>, faults: &mut Faults) {
    for label in labels.keys() {
        let message = if RESERVED_LABELS.contains(&label.as_str()) {
            format!("{label:?} is a label that these metrics have anyway: choose another name")
        } else if !is_identifier(label) || label.starts_with("__") {
            format!("{label:?} must be letters, digits and `_`, not starting with a digit or `__`")
        } else {
            continue;
        };
        faults.add(format!("metrics.labels.{label}"), message);
    }
}

fn check_field(path: &str, field: &str, faults: &mut Faults) {
    if !feature::is_field(field) {
        faults.add(path, format!("{field:?} is no field: write `field` or `outer.inner`"));
    }
}

fn check_topic(topic: &str, faults: &mut Faults) {
    /// Kafka's limit, less the ending of the dead-letter topic.
    const LONGEST: usize = 249 - ".dlq".len();
    let is_name = (1..=LONGEST).contains(&topic.len())
        && !matches!(topic, "." | "..")
        && topic.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
    // The dead letters of another topic are for whoever wants to try them again.
    let is_state = topic.strip_prefix("pulse.").is_some_and(|rest| rest.ends_with(".state"));
    let is_ours = topic == TOPIC_ANOMALIES || topic == dead_letter_topic(TOPIC_ANOMALIES) || is_state;
    if !is_name {
        let message = format!("{topic:?} is no topic name: 1 to {LONGEST} of letters, digits, `.`, `_` and `-`");
        faults.add("kafka.topic", message);
    } else if is_ours || topic.starts_with("__") {
        faults.add("kafka.topic", format!("{topic:?} is written by Stream Pulse or Kafka itself: read another one"));
    }
}

fn rules(raw: Vec<RawRule>, faults: &mut Faults) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::with_capacity(raw.len());
    for (i, raw) in raw.into_iter().enumerate() {
        let (text, message) = match raw {
            RawRule::Text(text) => (text, None),
            RawRule::Full(full) => (full.rule, full.message),
        };
        if rules.iter().any(|rule| rule.text == text) {
            faults.add(format!("rules[{i}]"), format!("`{text}` is there twice: remove one"));
        }
        rules.push(Rule { text, message });
    }
    rules
}

fn payload(raw: &RawPayload, faults: &mut Faults) -> PayloadLimits {
    const MAX_BYTES: u32 = 64 << 20;
    /// Parsers of JSON, ours among them, give up at 128 levels.
    const MAX_DEPTH: u32 = 100;
    let PayloadLimits { max_bytes, max_depth } = PayloadLimits::default();
    let mut limit = |path: &str, value: Option<u32>, default: usize, highest: u32| {
        let default = u32::try_from(default).unwrap_or(highest);
        usize::try_from(faults.in_range(path, value, default, 1..=highest)).unwrap_or(usize::MAX)
    };
    PayloadLimits {
        max_bytes: limit("payload.max_bytes", raw.max_bytes, max_bytes, MAX_BYTES),
        max_depth: limit("payload.max_depth", raw.max_depth, max_depth, MAX_DEPTH),
    }
}

fn timestamp(raw: Option<super::raw::RawTimestamp>, faults: &mut Faults) -> TimestampField {
    /// Five minutes: more than clocks drift, less than would move a window.
    const DEFAULT_MAX_AHEAD: f64 = 300.0;
    let (field, ahead) = raw.map_or((None, None), |raw| (Some(raw.field), raw.max_ahead_seconds));
    if let Some(field) = &field {
        check_field("timestamp.field", field, faults);
    }
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
    let lists = [
        ("isolation_forest", raw.isolation_forest.as_ref().and_then(|raw| raw.features.as_deref())),
        ("rolling_zscore", raw.rolling_zscore.as_ref().and_then(|raw| raw.features.as_deref())),
    ];
    for (detector, features) in lists {
        check_list(&format!("detectors.{detector}.features"), features, faults);
    }
    let forest = raw.isolation_forest.map(|raw| forest(raw, faults));
    let rolling = raw.rolling_zscore.map(|raw| rolling(raw, faults));
    let decides = forest.as_ref().is_some_and(|f| f.decides) || rolling.as_ref().is_some_and(|r| r.decides);
    if !decides {
        faults.add("detectors", "none decides, so nothing would be found: let one have `decides: true`");
    }
    DetectorSettings { forest, rolling }
}

fn check_list(path: &str, features: Option<&[String]>, faults: &mut Faults) {
    let Some(features) = features else { return };
    if features.is_empty() {
        faults.add(path, "is empty: name a column, or remove the key to take all");
    }
    for (i, feature) in features.iter().enumerate() {
        if features[..i].contains(feature) {
            faults.add(format!("{path}[{i}]"), format!("{feature:?} is there twice: remove one"));
        }
    }
}

fn forest(raw: RawForest, faults: &mut Faults) -> ForestSettings {
    const PATH: &str = "detectors.isolation_forest";
    let thresholds = [raw.expected_rate, raw.quantile, raw.threshold];
    if thresholds.iter().flatten().count() > 1 {
        faults.add(PATH, "`expected_rate`, `quantile` and `threshold` exclude each other: keep one");
    }
    let in_half_open = |value: f64, high: f64| value > 0.0 && value <= high;
    if let Some(quantile) = raw.quantile.filter(|quantile| !(0.5..1.0).contains(quantile)) {
        faults.add(format!("{PATH}.quantile"), format!("{quantile} must be at least 0.5 and below 1"));
    }
    // Rounded, so that 0.9 is a rate of 0.1 and not a bit less.
    let above = |quantile: f64| ((1.0 - quantile) * 1e12).round() / 1e12;
    let of_quantile = raw.quantile.filter(|quantile| (0.5..1.0).contains(quantile)).map(above);
    let expected_rate = raw.expected_rate.or(of_quantile).unwrap_or(0.01);
    if !in_half_open(expected_rate, 0.5) {
        faults.add(format!("{PATH}.expected_rate"), format!("{expected_rate} must be above 0 and at most 0.5"));
    }
    if let Some(threshold) = raw.threshold.filter(|&threshold| !in_half_open(threshold, 1.0)) {
        faults.add(format!("{PATH}.threshold"), format!("{threshold} must be above 0 and at most 1"));
    }
    let kind = match raw.kind.as_deref() {
        None | Some("plain") => ForestKind::Plain,
        Some("accurate") => ForestKind::Accurate,
        Some(other) => {
            faults.add(format!("{PATH}.kind"), format!("{other:?} must be plain or accurate"));
            ForestKind::default()
        }
    };
    let (trees, sample_size) = match kind {
        ForestKind::Plain => (100, 256),
        ForestKind::Accurate => (200, 4096),
    };
    ForestSettings {
        features: raw.features,
        kind,
        trees: faults.in_range(&format!("{PATH}.trees"), raw.trees, trees, 1..=10_000),
        sample_size: faults.in_range(&format!("{PATH}.sample_size"), raw.sample_size, sample_size, 2..=1_048_576),
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
        max_entities: faults.in_range(&format!("{PATH}.max_entities"), raw.max_entities, 100_000, 1..=100_000_000),
        decides: raw.decides.unwrap_or(true),
    }
}

#[cfg(test)]
mod tests;
