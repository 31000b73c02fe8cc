//! The shape of `simulator.profile` in `config.yaml`.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::use_case::raw::RawConstant;

/// How events are drawn.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawProfile {
    /// Who sends the events.
    #[serde(default)]
    pub entities: Option<RawEntities>,
    /// Seconds between two events of one entity; 60 where left out.
    #[serde(default)]
    pub interval_seconds: Option<f64>,
    /// How features vary, by name. Those left out get something that their limits allow.
    #[serde(default)]
    pub features: BTreeMap<String, RawFeatureProfile>,
}

/// The entities: `names`, or a `count` of them whose names are the `prefix` and a number.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawEntities {
    /// How many; 100 where left out.
    #[serde(default)]
    pub count: Option<u32>,
    /// What their names begin with; `entity-` where left out.
    #[serde(default)]
    pub prefix: Option<String>,
    /// Their names.
    #[serde(default)]
    pub names: Option<Vec<String>>,
}

/// How one feature varies: a number by its distribution, anything else by its `values`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawFeatureProfile {
    /// `normal`, `lognormal` (positive, with a long tail) or `poisson` (counts); `normal` where left out.
    #[serde(default)]
    pub distribution: Option<String>,
    /// Mean over all entities. Left out, it is taken from the feature's limits, or is 0 beside `depends_on`.
    #[serde(default)]
    pub mean: Option<f64>,
    /// Standard deviation from event to event; a twentieth of the mean where left out.
    #[serde(default)]
    pub deviation: Option<f64>,
    /// Standard deviation of the entities' own means; a tenth of the mean where left out.
    #[serde(default)]
    pub spread: Option<f64>,
    /// How far the mean rises by day (at its highest at 14:00) and falls by night; negative turns it round. Day and week are
    /// those of the profile's own time, in which event 0 lies at midnight on a Monday and an entity's next event
    /// `interval_seconds` later; timestamps follow the pace of the run, and agree with it only at a speed of 1 from such a midnight on.
    #[serde(default)]
    pub daily: Option<f64>,
    /// How far the mean rises in midweek and falls at the weekend; negative turns it round.
    #[serde(default)]
    pub weekly: Option<f64>,
    /// Other features, each with the factor at which its value is added.
    #[serde(default)]
    pub depends_on: BTreeMap<String, f64>,
    /// Smallest value; the feature's own limits hold besides.
    #[serde(default)]
    pub minimum: Option<f64>,
    /// Largest value.
    #[serde(default)]
    pub maximum: Option<f64>,
    /// Decimal places; where left out, enough to show the deviation.
    #[serde(default)]
    pub decimals: Option<u8>,
    /// Draws one of these instead; one that is named twice comes twice as often.
    #[serde(default)]
    pub values: Option<Vec<RawConstant>>,
}
