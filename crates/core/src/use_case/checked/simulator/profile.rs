//! The checked profile: how events are drawn.

mod entities;
mod number;
mod order;

use std::collections::BTreeMap;

use super::Fields;
use super::limits::NumberLimits;
use crate::use_case::checked::{Constant, Entity, Faults, Feature, FeatureType, TextLimits};
use crate::use_case::raw::{RawConstant, RawFeatureProfile, RawProfile};

pub use entities::Entities;
pub use number::{Distribution, NumberProfile};

/// Path of the profile in the configuration.
const PATH: &str = "simulator.profile";

/// How events are drawn.
#[derive(Debug, Clone)]
pub struct Profile {
    /// Who sends them.
    pub entities: Entities,
    /// Milliseconds between two events of one entity.
    pub interval_ms: u64,
    /// The features but for the entity and the time, each behind those that it depends on.
    pub features: Vec<FeatureProfile>,
}

/// How one feature is drawn.
#[derive(Debug, Clone)]
pub struct FeatureProfile {
    /// The feature.
    pub name: String,
    /// How.
    pub draw: Draw,
}

/// What is drawn.
#[derive(Debug, Clone)]
pub enum Draw {
    /// A number.
    Number(NumberProfile),
    /// One of these, each as likely as the others.
    Choice(Vec<Constant>),
}

pub(super) fn check(raw: RawProfile, fields: Fields<'_>, faults: &mut Faults) -> Profile {
    const LONGEST_INTERVAL: f64 = 31.0 * 86_400.0;
    let entities = entities::check(raw.entities, fields, faults);
    let seconds =
        faults.in_range(&format!("{PATH}.interval_seconds"), raw.interval_seconds, 60.0, 0.001..=LONGEST_INTERVAL);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 1 and 31 days of milliseconds"
    )]
    let interval_ms = (seconds * 1000.0).round() as u64;
    let mut stated = raw.features;
    let mut drawn = Vec::with_capacity(fields.features.len());
    for feature in fields.features {
        let path = format!("{PATH}.features.{}", feature.name);
        let own = stated.remove(&feature.name);
        let is_entity = matches!(fields.entity, Entity::Field(field) if *field == feature.name);
        if is_entity || fields.timestamp == Some(&feature.name) {
            if own.is_some() {
                faults.add(path, "is the entity or the time, which is not drawn: remove it here");
            }
            continue;
        }
        let (draw, depends_on) = check_feature(own.unwrap_or_default(), feature, &path, faults);
        drawn.push((FeatureProfile { name: feature.name.clone(), draw }, depends_on));
    }
    for name in stated.into_keys() {
        let known: Vec<&str> = drawn.iter().map(|(feature, _)| feature.name.as_str()).collect();
        let message = format!("is no feature: there are {}", known.join(", "));
        faults.add(format!("{PATH}.features.{name}"), message);
    }
    Profile { entities, interval_ms, features: order::by_dependence(drawn, faults) }
}

/// How `feature` is drawn, and the features that it depends on.
fn check_feature(
    raw: RawFeatureProfile,
    feature: &Feature,
    path: &str,
    faults: &mut Faults,
) -> (Draw, BTreeMap<String, f64>) {
    let RawFeatureProfile { distribution, mean, deviation, spread, daily, weekly, minimum, maximum, .. } = &raw;
    let of_numbers = [mean, deviation, spread, daily, weekly, minimum, maximum].into_iter().any(Option::is_some)
        || distribution.is_some()
        || raw.decimals.is_some()
        || !raw.depends_on.is_empty();
    let is_number = matches!(feature.kind, FeatureType::Number | FeatureType::Integer);
    let choice = choice(&raw, feature, path, faults);
    if of_numbers && (choice.is_some() || !is_number) {
        let what = if is_number { "a choice of values" } else { feature.kind.with_article() };
        faults.add(path, format!("{what} has no distribution: give `values` and nothing else"));
    }
    match choice {
        Some(values) => (Draw::Choice(values), BTreeMap::new()),
        None => {
            let depends_on = raw.depends_on.clone();
            (Draw::Number(number::check(raw, feature, path, faults)), depends_on)
        }
    }
}

/// What `feature` is chosen from; none where it is a number with a distribution.
fn choice(raw: &RawFeatureProfile, feature: &Feature, path: &str, faults: &mut Faults) -> Option<Vec<Constant>> {
    let Some(values) = &raw.values else {
        let booleans = || vec![Constant::Boolean(false), Constant::Boolean(true)];
        return match feature.kind {
            _ if feature.allowed.is_some() => feature.allowed.clone(),
            FeatureType::Boolean => Some(booleans()),
            FeatureType::String => Some(texts(&feature.text)),
            FeatureType::Number | FeatureType::Integer => None,
        };
    };
    let path = format!("{path}.values");
    if values.is_empty() {
        faults.add(&path, "is empty: name at least one value");
    }
    let limits = NumberLimits::new(feature, 9);
    let mut checked = Vec::with_capacity(values.len());
    for value in values {
        let (value, fits) = match value.clone() {
            RawConstant::Number(value) => {
                let fits = feature.bounds.check(value).is_ok()
                    && (feature.kind != FeatureType::Integer || value.fract() == 0.0);
                let is_number = matches!(feature.kind, FeatureType::Number | FeatureType::Integer);
                (Constant::Number(value), is_number && fits && limits.contain(value))
            }
            RawConstant::Boolean(value) => (Constant::Boolean(value), feature.kind == FeatureType::Boolean),
            RawConstant::Text(text) => {
                let fits = feature.kind == FeatureType::String && feature.text.check_length(&text).is_ok();
                (Constant::Text(text), fits)
            }
        };
        let is_allowed = feature.allowed.as_ref().is_none_or(|allowed| allowed.contains(&value));
        if !(fits && is_allowed) {
            let what = feature.kind.with_article();
            faults.add(&path, format!("{value} is no value of the feature, {what}: mend the value or the feature"));
        }
        checked.push(value);
    }
    Some(checked)
}

/// Some texts that are as long as they must be.
fn texts(limits: &TextLimits) -> Vec<Constant> {
    /// Longer ones would only fill the log.
    const LONGEST: u32 = 4096;
    let length = limits.min_length.unwrap_or(0).clamp(1, LONGEST).min(limits.max_length.unwrap_or(LONGEST));
    if length == 0 {
        return vec![Constant::Text(String::new())];
    }
    ["a", "b", "c"].map(|letter| Constant::Text(letter.repeat(length as usize))).to_vec()
}
