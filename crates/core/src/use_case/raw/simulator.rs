//! The shape of `simulator` in `config.yaml`.

mod profile;

use serde::Deserialize;

pub use profile::{RawEntities, RawFeatureProfile, RawProfile};

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
    /// Kinds of anomalies that it injects. Left out, drawn events get a spike now and then.
    #[serde(default)]
    pub anomalies: Option<Vec<RawAnomaly>>,
    /// Draws the events; the sample, where there is one, then only trains the model.
    #[serde(default)]
    pub profile: Option<RawProfile>,
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
    /// Number of consecutive events of one entity that it covers, or a range to draw it from; 1 where left out.
    #[serde(default)]
    pub lasts: Option<RawDraw>,
    /// Whether it grows from nothing to its full size over the events that it covers.
    #[serde(default)]
    pub grows: bool,
    /// The changes, in order.
    pub changes: Vec<RawChange>,
}

/// One change of one field. Exactly one of `multiply`, `divide`, `add`, `set`, `multiple_of` and `hold` is given. The numbers
/// are ranges that are drawn from uniformly, once for all events that the anomaly covers, or fixed. The field's own limits hold.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawChange {
    /// The field that changes.
    pub feature: String,
    /// Fields that change likewise, by the same draw.
    #[serde(default)]
    pub also: Vec<String>,
    /// Multiply it by this.
    #[serde(default)]
    pub multiply: Option<RawDraw>,
    /// Divide it by this.
    #[serde(default)]
    pub divide: Option<RawDraw>,
    /// Add this to it.
    #[serde(default)]
    pub add: Option<RawDraw>,
    /// Set it to this.
    #[serde(default)]
    pub set: Option<RawDraw>,
    /// Set it to another field times this.
    #[serde(default)]
    pub multiple_of: Option<RawMultipleOf>,
    /// `true` repeats the value that the entity had before the anomaly.
    #[serde(default)]
    pub hold: bool,
    /// A field that changes by the same amount: a sum that this field is part of.
    #[serde(default)]
    pub add_to: Option<String>,
    /// Decimal places of the result; where left out, those of its profile, else 2.
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
