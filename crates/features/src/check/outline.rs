//! What a use case is, in a few words: what was declared, inferred and derived.

use std::fmt;

use pulse_core::names::dead_letter_topic;
use pulse_core::use_case::{DetectorSettings, Entity, RollingSettings};
use serde::Serialize;

use crate::featurizer;
use crate::sample::{ColumnKind, Sample};
use crate::use_case_dir::UseCaseDir;

/// What a use case is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outline {
    /// Where the entity stands: a field, or nothing for the record's key.
    pub entity: Option<String>,
    /// Where the time stands: a field, or nothing for the record's own.
    pub time: Option<String>,
    /// Topic that is read.
    pub topic: String,
    /// Topic for events that are refused.
    pub dead_letters: String,
    /// Prefix of its own metrics.
    pub metrics_prefix: String,
    /// Its fields.
    pub features: Vec<FeatureOutline>,
    /// What they must be to each other.
    pub rules: Vec<String>,
    /// The numbers that an event becomes.
    pub columns: Vec<ColumnOutline>,
    /// The detectors, and whether they decide or only explain.
    pub detectors: Vec<String>,
    /// What is remembered of entities, where a detector does.
    pub memory: Option<MemoryOutline>,
    /// The sample.
    pub sample: Option<SampleOutline>,
    /// Kinds of anomalies that the simulator injects.
    pub anomalies: Vec<String>,
}

/// A field of the events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FeatureOutline {
    /// Its path.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Whether the sample said so, and not the configuration.
    pub inferred: bool,
    /// Whether every event must have it.
    pub required: bool,
    /// Its unit.
    pub unit: Option<String>,
}

/// A number that an event becomes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ColumnOutline {
    /// Its name.
    pub name: String,
    /// Whether `features.vrl` derives it.
    pub derived: bool,
}

/// What a processor remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct MemoryOutline {
    /// About how many bytes an entity takes once its windows are full.
    pub bytes_of_entity: u64,
    /// Entities of each partition at the most.
    pub max_entities: u32,
}

/// The sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SampleOutline {
    /// Rows that the model is trained on.
    pub training: usize,
    /// Rows that are replayed.
    pub replay: usize,
    /// Rows that the sample itself calls out of the ordinary.
    pub genuine_outliers: usize,
}

pub(super) fn of(dir: &UseCaseDir, inferred: &[ColumnKind], sample: Option<&Sample>) -> Outline {
    let use_case = &dir.use_case;
    let derived = dir.compiled().derivation.as_deref().map_or(&[][..], |derivation| derivation.columns());
    let columns = featurizer::columns(&use_case.features, derived);
    Outline {
        entity: match &use_case.entity {
            Entity::Key => None,
            Entity::Field(field) => Some(field.clone()),
        },
        time: use_case.timestamp.field.clone(),
        topic: use_case.topic.clone(),
        dead_letters: dead_letter_topic(&use_case.topic),
        metrics_prefix: use_case.metrics_prefix.clone(),
        features: use_case
            .features
            .iter()
            .map(|feature| FeatureOutline {
                name: feature.name.clone(),
                kind: feature.kind.as_str(),
                inferred: inferred.iter().any(|column| column.name == feature.name),
                required: feature.required,
                unit: feature.unit.clone(),
            })
            .collect(),
        rules: use_case.rules.iter().map(|rule| rule.text.clone()).collect(),
        memory: use_case.detectors.rolling.as_ref().map(|rolling| memory(rolling, columns.len())),
        columns: columns.into_iter().map(|c| ColumnOutline { name: c.name, derived: c.derived }).collect(),
        detectors: detectors(&use_case.detectors),
        sample: sample.map(|sample| SampleOutline {
            training: sample.training().len(),
            replay: sample.replay().len(),
            genuine_outliers: sample.numbered().filter(|(_, row)| row.genuine_outlier).count(),
        }),
        anomalies: use_case.simulator.anomalies.iter().map(|anomaly| anomaly.name.clone()).collect(),
    }
}

fn detectors(settings: &DetectorSettings) -> Vec<String> {
    let role = |decides| if decides { "decides" } else { "explains" };
    let forest = settings.forest.as_ref().map(|forest| format!("isolation_forest ({})", role(forest.decides)));
    let rolling = settings.rolling.as_ref().map(|rolling| format!("rolling_zscore ({})", role(rolling.decides)));
    forest.into_iter().chain(rolling).collect()
}

fn memory(rolling: &RollingSettings, columns: usize) -> MemoryOutline {
    /// Of a window besides its values, and of an entity besides its windows: structures, and what the allocator adds.
    const WINDOW: u64 = 48;
    const ENTITY: u64 = 120;
    let watched = rolling.features.as_ref().map_or(columns, Vec::len) as u64;
    let bytes_of_entity = ENTITY + watched * (WINDOW + u64::from(rolling.window) * size_of::<f64>() as u64);
    MemoryOutline { bytes_of_entity, max_entities: rolling.max_entities }
}

impl fmt::Display for Outline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |what: &str, text: &str| writeln!(f, "  {what:<10} {text}");
        line("entity", self.entity.as_deref().unwrap_or("the record's key"))?;
        line("time", self.time.as_deref().unwrap_or("the record's own"))?;
        line("topic", &format!("{}, dead letters in {}", self.topic, self.dead_letters))?;
        let features: Vec<String> = self.features.iter().map(ToString::to_string).collect();
        line("features", &features.join(", "))?;
        let derived = self.columns.iter().filter(|column| column.derived);
        let derived: Vec<&str> = derived.map(|column| column.name.as_str()).collect();
        for (what, names) in [("derived", derived.join(", ")), ("rules", self.rules.join("; "))] {
            if !names.is_empty() {
                line(what, &names)?;
            }
        }
        line("detectors", &self.detectors.join(", "))?;
        if let Some(MemoryOutline { bytes_of_entity, max_entities }) = self.memory {
            line(
                "memory",
                &format!("{bytes_of_entity} bytes of an entity, {max_entities} entities of a partition at the most"),
            )?;
        }
        line("metrics", &format!("{}_…", self.metrics_prefix))?;
        let sample = match self.sample {
            Some(SampleOutline { training, replay, genuine_outliers }) => {
                format!("{training} rows to train on, {replay} to replay, {genuine_outliers} genuine outliers")
            }
            None => "none".to_owned(),
        };
        line("sample", &sample)?;
        if self.anomalies.is_empty() { Ok(()) } else { line("simulates", &self.anomalies.join(", ")) }
    }
}

impl fmt::Display for FeatureOutline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = self.unit.as_ref().map_or_else(String::new, |unit| format!(" [{unit}]"));
        let inferred = if self.inferred { ", inferred" } else { "" };
        let optional = if self.required { "" } else { ", optional" };
        write!(f, "{}{unit} ({}{inferred}{optional})", self.name, self.kind)
    }
}
