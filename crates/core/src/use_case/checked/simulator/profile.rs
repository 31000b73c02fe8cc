//! The checked profile: how events are drawn.

mod number;
mod order;

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::Fields;
use super::limits::NumberLimits;
use crate::use_case::checked::{Constant, Entity, Faults, Feature, FeatureType};
use crate::use_case::raw::{RawConstant, RawEntities, RawFeatureProfile, RawProfile};

pub use number::{Distribution, NumberProfile};

/// Path of the profile in the configuration.
const PATH: &str = "simulator.profile";
/// As many bytes as the pipeline allows an entity.
const LONGEST_NAME: usize = 256;

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

/// The entities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entities {
    /// With names of their own.
    Named(Vec<String>),
    /// With a number behind a prefix.
    Numbered {
        /// The prefix.
        prefix: String,
        /// How many.
        count: u32,
    },
}

impl Entities {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        match self {
            Self::Named(names) => names.len() as u64,
            Self::Numbered { count, .. } => u64::from(*count),
        }
    }

    /// The name of the entity at `index`, from 0.
    #[must_use]
    pub fn name(&self, index: u64) -> Cow<'_, str> {
        match self {
            Self::Named(names) => {
                let name = usize::try_from(index).ok().and_then(|index| names.get(index));
                Cow::Borrowed(name.map_or("", String::as_str))
            }
            // Without a prefix it may have to be a JSON number, which has no leading zeros.
            Self::Numbered { prefix, .. } if prefix.is_empty() => Cow::Owned((index + 1).to_string()),
            Self::Numbered { prefix, count } => {
                let width = count.to_string().len();
                Cow::Owned(format!("{prefix}{:0width$}", index + 1))
            }
        }
    }
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
    let entities = check_entities(raw.entities.unwrap_or_default(), fields, faults);
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

fn check_entities(raw: RawEntities, fields: Fields<'_>, faults: &mut Faults) -> Entities {
    const MOST: u32 = 10_000_000;
    let path = format!("{PATH}.entities");
    let feature = fields.features.iter().find(|f| matches!(fields.entity, Entity::Field(field) if *field == f.name));
    let is_number = feature.is_some_and(|feature| feature.kind.is_numeric());
    if feature.is_some_and(|feature| feature.kind == FeatureType::Boolean) {
        faults.add(&path, "the entity's field is a boolean: make it a string or a number");
    }
    if let Some(names) = raw.names {
        if raw.count.is_some() || raw.prefix.is_some() {
            faults.add(&path, "`names` stands alone: remove `count` and `prefix`, or `names`");
        }
        if names.is_empty() {
            faults.add(format!("{path}.names"), "is empty: name at least one entity");
        }
        for (i, name) in names.iter().enumerate() {
            let path = format!("{path}.names[{i}]");
            if name.is_empty() || name.len() > LONGEST_NAME {
                faults.add(path, format!("{name:?} must have 1 to {LONGEST_NAME} bytes"));
            } else if names[..i].contains(name) {
                faults.add(path, format!("{name:?} is there twice: remove one"));
            } else if is_number && !name.parse::<i64>().is_ok_and(|number| number.to_string() == *name) {
                faults.add(path, format!("{name:?} must be a whole number, as the entity's field is one"));
            }
        }
        return Entities::Named(names);
    }
    let count = faults.in_range(&format!("{path}.count"), raw.count, 100, 1..=MOST);
    let prefix = raw.prefix.unwrap_or_else(|| if is_number { String::new() } else { "entity-".to_owned() });
    if prefix.len() > LONGEST_NAME - MOST.to_string().len() {
        faults.add(format!("{path}.prefix"), format!("has {} bytes: shorten it", prefix.len()));
    }
    if is_number && !prefix.is_empty() {
        faults.add(format!("{path}.prefix"), "must be empty, as the entity's field is a number");
    }
    Entities::Numbered { prefix, count }
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
        let texts = || ["a", "b", "c"].map(|text| Constant::Text(text.to_owned())).to_vec();
        return match feature.kind {
            _ if feature.allowed.is_some() => feature.allowed.clone(),
            FeatureType::Boolean => Some(booleans()),
            FeatureType::String => Some(texts()),
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
            RawConstant::Text(text) => (Constant::Text(text), feature.kind == FeatureType::String),
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
