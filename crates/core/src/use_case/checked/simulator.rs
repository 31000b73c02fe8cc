//! The checked simulator.

mod anomaly;
mod limits;
mod profile;

use std::ops::RangeInclusive;

use super::{Entity, Faults, Feature, FeatureType};
use crate::use_case::raw::{RawDraw, RawRange, RawSimulator};

pub use anomaly::SimulatedAnomaly;
pub use limits::NumberLimits;
pub use profile::{Distribution, Draw, Entities, FeatureProfile, NumberProfile, Profile};

/// The simulator.
#[derive(Debug, Clone)]
pub struct SimulatorSettings {
    /// Share of the sample that the model is trained on.
    pub train_fraction: f64,
    /// Column of the sample that marks genuine outliers.
    pub genuine_outlier_column: Option<String>,
    /// Other time fields that move together with the timestamp field.
    pub also_move: Vec<String>,
    /// Which rows may be changed into anomalies.
    pub eligible: Vec<(String, RangeInclusive<f64>)>,
    /// Kinds of anomalies.
    pub anomalies: Vec<SimulatedAnomaly>,
    /// Whether the kinds are made up from the profile: they suit drawn events only.
    pub anomalies_are_default: bool,
    /// How events are drawn, should they be.
    pub profile: Profile,
    /// Whether the profile is made up from the features' types and limits: it is for want of a sample only.
    pub profile_is_default: bool,
}

/// What the fields of the events are, besides numbers.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    pub(super) features: &'a [Feature],
    pub(super) entity: &'a Entity,
    pub(super) timestamp: Option<&'a str>,
}

pub(super) fn check(raw: RawSimulator, fields: Fields<'_>, faults: &mut Faults) -> SimulatorSettings {
    let is_number = |feature: &Feature| matches!(feature.kind, FeatureType::Number | FeatureType::Integer);
    let known = |name: &str| fields.features.iter().any(|feature| feature.name == name && is_number(feature));
    let train_fraction = faults.in_range("simulator.train_fraction", raw.train_fraction, 0.5, 0.01..=0.99);
    if raw.profile.is_some() && !raw.eligible.is_empty() {
        faults.add("simulator.eligible", "chooses rows of a sample, but the profile draws: remove one of them");
    }
    let mut eligible = Vec::with_capacity(raw.eligible.len());
    for (i, RawRange { feature, minimum, maximum }) in raw.eligible.into_iter().enumerate() {
        if !known(&feature) {
            faults.add(format!("simulator.eligible[{i}].feature"), format!("{feature:?} is no numeric feature"));
        }
        let range = minimum.unwrap_or(f64::NEG_INFINITY)..=maximum.unwrap_or(f64::INFINITY);
        if range.is_empty() {
            let (low, high) = (range.start(), range.end());
            let message = format!("no value lies between {low} and {high}, so that no row could be changed: swap them");
            faults.add(format!("simulator.eligible[{i}]"), message);
        }
        eligible.push((feature, range));
    }
    for (i, field) in raw.also_move.iter().enumerate() {
        if fields.timestamp == Some(field) || raw.also_move[..i].contains(field) {
            faults.add(format!("simulator.also_move[{i}]"), format!("{field:?} is moved already: remove it here"));
        }
    }
    let profile_is_default = raw.profile.is_none();
    let profile = profile::check(raw.profile.unwrap_or_default(), fields, faults);
    let anomalies_are_default = raw.anomalies.is_none();
    let anomalies = match raw.anomalies {
        Some(raw) => anomaly::check(raw, &known, faults),
        None => SimulatedAnomaly::spike(&profile.features).into_iter().collect(),
    };
    SimulatorSettings {
        train_fraction,
        genuine_outlier_column: raw.genuine_outlier_column,
        also_move: raw.also_move,
        eligible,
        anomalies,
        anomalies_are_default,
        profile,
        profile_is_default,
    }
}

impl RawDraw {
    /// The smallest and the largest number that may be drawn.
    #[must_use]
    pub fn bounds(self) -> (f64, f64) {
        match self {
            Self::Fixed(value) => (value, value),
            Self::Between([low, high]) => (low, high),
        }
    }
}

#[cfg(test)]
mod tests;
