//! The checked kinds of anomalies.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use super::profile::{Draw, FeatureProfile};
use crate::names::{LABEL_GENUINE, LABEL_OTHER};
use crate::use_case::checked::{Faults, is_identifier};
use crate::use_case::raw::{RawAnomaly, RawChange, RawDraw};

/// The most events that one anomaly covers.
const LONGEST: u32 = 10_000;

/// A kind of anomaly that the simulator injects.
#[derive(Debug, Clone)]
pub struct SimulatedAnomaly {
    /// Its name, the value of the label.
    pub name: String,
    /// What it is like.
    pub description: String,
    /// Number of consecutive events of one entity that it covers: the fewest and the most.
    pub lasts: RangeInclusive<u32>,
    /// Whether it grows from nothing to its full size over these events.
    pub grows: bool,
    /// The changes, in order; each has exactly one operation.
    pub changes: Vec<RawChange>,
}

impl SimulatedAnomaly {
    /// What drawn events get where the configuration names no kind: a spike of the first number.
    pub(super) fn spike(features: &[FeatureProfile]) -> Option<Self> {
        const DEVIATIONS: [f64; 2] = [8.0, 16.0];
        let (name, deviation) = features.iter().find_map(|feature| match &feature.draw {
            Draw::Number(number) => Some((&feature.name, number.typical_deviation())),
            Draw::Choice(_) => None,
        })?;
        let add = Some(RawDraw::Between(DEVIATIONS.map(|deviations| deviations * deviation)));
        Some(Self {
            name: "spike".to_owned(),
            description: format!("`{name}` is {} to {} deviations higher.", DEVIATIONS[0], DEVIATIONS[1]),
            lasts: 1..=1,
            grows: false,
            changes: vec![RawChange { feature: name.clone(), add, ..RawChange::default() }],
        })
    }
}

/// Checks the kinds; `known` says whether a name is that of a numeric feature.
pub(super) fn check(raw: Vec<RawAnomaly>, known: &dyn Fn(&str) -> bool, faults: &mut Faults) -> Vec<SimulatedAnomaly> {
    let mut labels: HashSet<String> = [LABEL_GENUINE, LABEL_OTHER].map(str::to_owned).into();
    let mut anomalies = Vec::with_capacity(raw.len());
    for (i, RawAnomaly { name, description, lasts, grows, changes }) in raw.into_iter().enumerate() {
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
        let lasts = check_length(lasts, &path, faults);
        for (j, change) in changes.iter().enumerate() {
            check_change(change, &format!("{path}.changes[{j}]"), known, faults);
        }
        let holds = changes.iter().any(|change| change.hold);
        if (holds || grows) && *lasts.end() == 1 {
            let what = if holds { "hold" } else { "grows" };
            faults.add(&path, format!("`{what}` takes time: say how many events with `lasts`, such as [10, 30]"));
        }
        if holds && grows {
            faults.add(&path, "a value that is held does not grow: remove `hold` or `grows`");
        }
        anomalies.push(SimulatedAnomaly { name, description, lasts, grows, changes });
    }
    anomalies
}

fn check_length(lasts: Option<RawDraw>, path: &str, faults: &mut Faults) -> RangeInclusive<u32> {
    let (low, high) = lasts.map_or((1.0, 1.0), RawDraw::bounds);
    let is_length = |value: f64| value.fract() == 0.0 && (1.0..=f64::from(LONGEST)).contains(&value);
    if !(is_length(low) && is_length(high) && low <= high) {
        let message = format!("must be a number of events from 1 to {LONGEST}, or two of them, the smaller first");
        faults.add(format!("{path}.lasts"), message);
        return 1..=1;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and at most 10,000")]
    {
        low as u32..=high as u32
    }
}

fn check_change(change: &RawChange, path: &str, known: &dyn Fn(&str) -> bool, faults: &mut Faults) {
    let fields = [Some(&change.feature), change.multiple_of.as_ref().map(|m| &m.feature), change.add_to.as_ref()];
    for name in fields.into_iter().flatten().chain(&change.also).filter(|name| !known(name)) {
        faults.add(path, format!("{name:?} is no numeric feature"));
    }
    let multiple = change.multiple_of.as_ref().map(|multiple| multiple.times);
    let draws = [change.multiply, change.divide, change.add, change.set, multiple];
    if draws.iter().flatten().count() + usize::from(change.hold) != 1 {
        faults.add(path, "give exactly one of `multiply`, `divide`, `add`, `set`, `multiple_of` and `hold`");
    }
    for draw in draws.into_iter().flatten() {
        let (low, high) = draw.bounds();
        if !(low.is_finite() && high.is_finite() && low <= high) {
            faults.add(path, format!("[{low}, {high}] must be two finite numbers, the smaller first"));
        }
    }
    if let Some((low, high)) = change.divide.map(RawDraw::bounds).filter(|(low, high)| *low <= 0.0 && *high >= 0.0) {
        faults.add(path, format!("cannot divide by 0: [{low}, {high}] must not hold it"));
    }
    if change.decimals.is_some_and(|decimals| decimals > 9) {
        faults.add(format!("{path}.decimals"), "must be between 0 and 9");
    }
}
