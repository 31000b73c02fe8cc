//! The checked simulator.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use super::{Faults, Feature, is_identifier};
use crate::names::{LABEL_GENUINE, LABEL_OTHER};
use crate::use_case::raw::{RawAnomaly, RawChange, RawDraw, RawRange, RawSimulator};

/// A kind of anomaly that the simulator injects.
#[derive(Debug, Clone)]
pub struct SimulatedAnomaly {
    /// Its name, the value of the label.
    pub name: String,
    /// What it is like.
    pub description: String,
    /// The changes, in order; each has exactly one operation.
    pub changes: Vec<RawChange>,
}

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
}

pub(super) fn check(
    raw: RawSimulator,
    features: &[Feature],
    timestamp: Option<&str>,
    faults: &mut Faults,
) -> SimulatorSettings {
    let known = |name: &str| features.iter().any(|f| f.name == name && f.kind.is_numeric());
    let train_fraction = faults.in_range("simulator.train_fraction", raw.train_fraction, 0.5, 0.01..=0.99);
    let mut eligible = Vec::with_capacity(raw.eligible.len());
    for (i, RawRange { feature, minimum, maximum }) in raw.eligible.into_iter().enumerate() {
        if !known(&feature) {
            faults.add(format!("simulator.eligible[{i}].feature"), format!("{feature:?} is no numeric feature"));
        }
        eligible.push((feature, minimum.unwrap_or(f64::NEG_INFINITY)..=maximum.unwrap_or(f64::INFINITY)));
    }
    for (i, field) in raw.also_move.iter().enumerate() {
        if timestamp == Some(field) || raw.also_move[..i].contains(field) {
            faults.add(format!("simulator.also_move[{i}]"), format!("{field:?} is moved already: remove it here"));
        }
    }
    let mut labels: HashSet<String> = [LABEL_GENUINE, LABEL_OTHER].map(str::to_owned).into();
    let mut anomalies = Vec::with_capacity(raw.anomalies.len());
    for (i, RawAnomaly { name, description, changes }) in raw.anomalies.into_iter().enumerate() {
        let path = format!("simulator.anomalies[{i}]");
        if !is_identifier(&name) {
            faults.add(format!("{path}.name"), format!("{name:?} must be letters, digits and `_`"));
        }
        if !labels.insert(name.clone()) {
            faults.add(format!("{path}.name"), format!("{name:?} is taken: give every kind a name of its own"));
        }
        if changes.is_empty() {
            faults.add(format!("{path}.changes"), "is empty: an anomaly must change something");
        }
        for (j, change) in changes.iter().enumerate() {
            check_change(change, &format!("{path}.changes[{j}]"), &known, faults);
        }
        anomalies.push(SimulatedAnomaly { name, description, changes });
    }
    SimulatorSettings {
        train_fraction,
        genuine_outlier_column: raw.genuine_outlier_column,
        also_move: raw.also_move,
        eligible,
        anomalies,
    }
}

fn check_change(change: &RawChange, path: &str, known: &dyn Fn(&str) -> bool, faults: &mut Faults) {
    let fields = [Some(&change.feature), change.multiple_of.as_ref().map(|m| &m.feature), change.add_to.as_ref()];
    for name in fields.into_iter().flatten().filter(|name| !known(name)) {
        faults.add(path, format!("{name:?} is no numeric feature"));
    }
    let draws = [change.multiply, change.divide, change.set, change.multiple_of.as_ref().map(|m| m.times)];
    if draws.iter().flatten().count() != 1 {
        faults.add(path, "give exactly one of `multiply`, `divide`, `set` and `multiple_of`");
    }
    for draw in draws.into_iter().flatten() {
        let (low, high) = draw.bounds();
        if !(low.is_finite() && high.is_finite() && low <= high) {
            faults.add(path, format!("[{low}, {high}] must be two finite numbers, the smaller first"));
        }
    }
    if let Some((low, high)) = change.divide.map(|draw| draw.bounds()).filter(|(low, high)| *low <= 0.0 && *high >= 0.0)
    {
        faults.add(path, format!("cannot divide by 0: [{low}, {high}] must not hold it"));
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
