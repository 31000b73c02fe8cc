//! Who sends the events that are drawn.

use std::borrow::Cow;

use super::PATH;
use crate::use_case::checked::simulator::{Fields, limits::NumberLimits};
use crate::use_case::checked::{Bounds, Constant, Entity, Faults, Feature, FeatureType};
use crate::use_case::raw::RawEntities;

/// As many bytes as the pipeline allows an entity.
const LONGEST_NAME: usize = 256;
/// How many entities there are where nobody says.
const COUNT: u32 = 100;
/// What their names begin with where nobody says.
const PREFIX: &str = "entity-";

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

pub(super) fn check(raw: Option<RawEntities>, fields: Fields<'_>, faults: &mut Faults) -> Entities {
    const MOST: u32 = 10_000_000;
    let path = format!("{PATH}.entities");
    let feature = fields.features.iter().find(|f| matches!(fields.entity, Entity::Field(field) if *field == f.name));
    let is_number = feature.is_some_and(|feature| feature.kind.is_numeric());
    if feature.is_some_and(|feature| feature.kind == FeatureType::Boolean) {
        faults.add("entity.field", "is a boolean: name a field with a string or a number");
    }
    let Some(raw) = raw else { return made_up(feature) };
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
    let count = faults.in_range(&format!("{path}.count"), raw.count, COUNT, 1..=MOST);
    let prefix = raw.prefix.unwrap_or_else(|| if is_number { String::new() } else { PREFIX.to_owned() });
    if prefix.len() > LONGEST_NAME - MOST.to_string().len() {
        faults.add(format!("{path}.prefix"), format!("has {} bytes: shorten it", prefix.len()));
    }
    if is_number && !prefix.is_empty() {
        faults.add(format!("{path}.prefix"), "must be empty, as the entity's field is a number");
    }
    Entities::Numbered { prefix, count }
}

/// Entities that `feature`, in which they stand, allows, as far as that is known.
fn made_up(feature: Option<&Feature>) -> Entities {
    let numbered = |prefix: &str| Entities::Numbered { prefix: prefix.to_owned(), count: COUNT };
    let Some(feature) = feature else { return numbered(PREFIX) };
    let names: Vec<String> = match (&feature.allowed, feature.kind) {
        (Some(allowed), _) => allowed.iter().map(name_of).collect(),
        (None, FeatureType::String) => names_of_length(feature),
        (None, _) if feature.bounds == Bounds::default() => return numbered(""),
        (None, _) => numbers_within(feature),
    };
    let names: Vec<String> = names.into_iter().filter(|name| (1..=LONGEST_NAME).contains(&name.len())).collect();
    if names.is_empty() { numbered(PREFIX) } else { Entities::Named(names) }
}

/// A constant as the entity's name.
fn name_of(constant: &Constant) -> String {
    match constant {
        Constant::Text(text) => text.clone(),
        Constant::Number(number) => name_of_number(*number),
        Constant::Boolean(value) => value.to_string(),
    }
}

/// A number as events write it, so that key and field agree.
fn name_of_number(number: f64) -> String {
    // Zero has no sign.
    let number = number + 0.0;
    if number.fract() == 0.0 { format!("{number:.0}") } else { serde_json::Value::from(number).to_string() }
}

/// Names as long as the feature allows; none where the usual ones will do.
fn names_of_length(feature: &Feature) -> Vec<String> {
    let usual = Entities::Numbered { prefix: PREFIX.to_owned(), count: COUNT };
    if feature.text.check_length(&usual.name(0)).is_ok() {
        return Vec::new();
    }
    let (shortest, longest) = (feature.text.min_length.unwrap_or(0), feature.text.max_length.unwrap_or(u32::MAX));
    let digits = COUNT.to_string().len();
    let width = usize::try_from(shortest).unwrap_or(usize::MAX).max(digits).min(LONGEST_NAME);
    let width = width.min(usize::try_from(longest).unwrap_or(usize::MAX));
    let names = (1..=COUNT).map(|number| format!("{number:0width$}"));
    names.take_while(|name| name.len() <= width).collect()
}

/// The lowest numbers that the feature allows, or the highest, where those have no end.
fn numbers_within(feature: &Feature) -> Vec<String> {
    let limits = NumberLimits::new(feature, 0);
    let step = feature.bounds.multiple_of.unwrap_or(1.0).max(1.0);
    let start = match limits.ends() {
        (Some(low), _) => low,
        (None, Some(high)) => high - f64::from(COUNT - 1) * step,
        (None, None) => step,
    };
    let mut names: Vec<String> =
        (0..COUNT).map(|place| name_of_number(limits.fit(start + f64::from(place) * step))).collect();
    names.dedup();
    names
}
