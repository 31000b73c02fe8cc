//! The checked fields of a use case's events.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;

use super::faults::Faults;
use super::simulator::NumberLimits;
use crate::use_case::raw::{RawConstant, RawFeature, RawFullFeature};

/// Type of a feature, in the words of JSON Schema.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FeatureType {
    /// Any finite number.
    #[default]
    Number,
    /// A number without a fraction.
    Integer,
    /// `true` or `false`; 1 or 0 for a model.
    Boolean,
    /// Text; no model sees it.
    String,
}

impl FeatureType {
    /// Its name in JSON Schema.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Integer => "integer",
            Self::Boolean => "boolean",
            Self::String => "string",
        }
    }

    /// Its name with its article, for texts.
    #[must_use]
    pub fn with_article(self) -> &'static str {
        match self {
            Self::Number => "a number",
            Self::Integer => "an integer",
            Self::Boolean => "a boolean",
            Self::String => "a string",
        }
    }

    /// Whether a model can see it.
    #[must_use]
    pub fn is_numeric(self) -> bool {
        self != Self::String
    }
}

/// Limits of a number.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Bounds {
    /// Smallest value.
    pub minimum: Option<f64>,
    /// Every value is larger.
    pub exclusive_minimum: Option<f64>,
    /// Largest value.
    pub maximum: Option<f64>,
    /// Every value is smaller.
    pub exclusive_maximum: Option<f64>,
    /// Every value is a whole multiple of it, as far as 64-bit numbers can tell.
    pub multiple_of: Option<f64>,
}

/// Limits of a text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TextLimits {
    /// Fewest characters.
    pub min_length: Option<u32>,
    /// Most characters.
    pub max_length: Option<u32>,
    /// Regular expression that matches somewhere in it. Whether it is one is for those to check who match it.
    pub pattern: Option<String>,
}

/// A value that a field may have.
#[derive(Debug, Clone, PartialEq)]
pub enum Constant {
    /// A number.
    Number(f64),
    /// `true` or `false`.
    Boolean(bool),
    /// Text.
    Text(String),
}

impl fmt::Display for Constant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(value) => write!(f, "{value}"),
            Self::Boolean(value) => write!(f, "{value}"),
            Self::Text(value) => write!(f, "{value:?}"),
        }
    }
}

/// A field of the events.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Feature {
    /// Its name: a dotted path into nested JSON.
    pub name: String,
    /// Its type.
    pub kind: FeatureType,
    /// Its unit.
    pub unit: Option<String>,
    /// What it means.
    pub description: String,
    /// Whether every event must have it.
    pub required: bool,
    /// Its limits, where it is a number.
    pub bounds: Bounds,
    /// Its limits, where it is text.
    pub text: TextLimits,
    /// The only values that it may have; none means any.
    pub allowed: Option<Vec<Constant>>,
}

impl RawFullFeature {
    /// The type that the configuration states, in `type` or by words that only one type has; none leaves it open.
    #[must_use]
    pub fn stated_type(&self) -> Option<&str> {
        let of_constant = |constant: &RawConstant| match constant {
            RawConstant::Boolean(_) => "boolean",
            RawConstant::Number(_) => "number",
            RawConstant::Text(_) => "string",
        };
        let numbers = [self.minimum, self.exclusive_minimum, self.maximum, self.exclusive_maximum, self.multiple_of];
        let is_text = self.min_length.or(self.max_length).is_some() || self.pattern.is_some();
        let first = self.constant.as_ref().or_else(|| self.allowed.as_ref()?.first());
        self.kind
            .as_deref()
            .or_else(|| first.map(of_constant))
            .or_else(|| is_text.then_some("string"))
            .or_else(|| numbers.iter().any(Option::is_some).then_some("number"))
    }
}

/// Whether `path` leads to a field: keys of JSON objects with dots between them.
pub(super) fn is_field(path: &str) -> bool {
    path.split('.').all(|key| !key.is_empty() && !key.contains(char::is_control))
}

pub(super) fn features(raw: Vec<RawFeature>, faults: &mut Faults) -> Vec<Feature> {
    if raw.is_empty() {
        faults.add("features", "is empty: name at least one field of the events");
    }
    let mut seen = HashSet::new();
    let mut features = Vec::with_capacity(raw.len());
    for (i, raw) in raw.into_iter().enumerate() {
        let path = format!("features[{i}]");
        let feature = match raw {
            RawFeature::Name(name) => Feature { name, required: true, ..Feature::default() },
            RawFeature::Full(full) => full_feature(*full, &path, faults),
        };
        if !is_field(&feature.name) {
            faults.add(&path, format!("{:?} is no field: write `field` or `outer.inner`", feature.name));
        }
        if !seen.insert(feature.name.clone()) {
            faults.add(&path, format!("{:?} is there twice: remove one", feature.name));
        }
        features.push(feature);
    }
    features
}

fn full_feature(raw: RawFullFeature, path: &str, faults: &mut Faults) -> Feature {
    let kind = match raw.stated_type().unwrap_or("number") {
        "number" => FeatureType::Number,
        "integer" => FeatureType::Integer,
        "boolean" => FeatureType::Boolean,
        "string" => FeatureType::String,
        other => {
            faults.add(format!("{path}.type"), format!("{other:?} must be number, integer, boolean or string"));
            FeatureType::Number
        }
    };
    let bounds = bounds(&raw, kind, path, faults);
    let text = text_limits(&raw, kind, path, faults);
    let allowed = allowed(raw.allowed, raw.constant, path, faults);
    for constant in allowed.iter().flatten() {
        if let Some(message) = mismatch(constant, kind, &bounds, &text) {
            faults.add(path, message);
        }
    }
    let mut feature = Feature {
        name: raw.name,
        kind,
        unit: raw.unit,
        description: raw.description,
        required: raw.required.unwrap_or(true),
        bounds,
        text,
        allowed,
    };
    if NumberLimits::new(&feature, 0).within(None, None).is_none() {
        let multiple = feature.bounds.multiple_of.map(|step| format!("multiple of {step}"));
        let what = multiple.as_deref().unwrap_or("whole number");
        faults.add(path, format!("no {what} lies between its limits: widen them"));
        feature.bounds = Bounds::default();
    }
    feature
}

fn bounds(raw: &RawFullFeature, kind: FeatureType, path: &str, faults: &mut Faults) -> Bounds {
    let bounds = Bounds {
        minimum: raw.minimum,
        exclusive_minimum: raw.exclusive_minimum,
        maximum: raw.maximum,
        exclusive_maximum: raw.exclusive_maximum,
        multiple_of: raw.multiple_of,
    };
    let Bounds { minimum, exclusive_minimum, maximum, exclusive_maximum, multiple_of } = bounds;
    let given = [minimum, exclusive_minimum, maximum, exclusive_maximum, multiple_of];
    if given.iter().flatten().any(|bound| !bound.is_finite()) {
        faults.add(path, "its limits must be finite numbers");
        return Bounds::default();
    }
    if matches!(kind, FeatureType::Boolean | FeatureType::String) && given.iter().any(Option::is_some) {
        faults.add(path, format!("{} has no limits of numbers: remove them", kind.with_article()));
        return Bounds::default();
    }
    if let Some(step) = multiple_of.filter(|step| *step <= 0.0) {
        faults.add(format!("{path}.multipleOf"), format!("{step} must be above 0"));
    }
    let highest = |a: Option<f64>, b: Option<f64>| a.into_iter().chain(b).fold(f64::NEG_INFINITY, f64::max);
    let low = highest(minimum, exclusive_minimum);
    let high = -highest(maximum.map(|limit| -limit), exclusive_maximum.map(|limit| -limit));
    let is_open = exclusive_minimum == Some(low) || exclusive_maximum == Some(high);
    if low > high || (low == high && is_open) {
        faults.add(path, format!("no value can lie between its limits, {low} and {high}: widen them"));
        return Bounds::default();
    }
    bounds
}

fn text_limits(raw: &RawFullFeature, kind: FeatureType, path: &str, faults: &mut Faults) -> TextLimits {
    let limits = TextLimits { min_length: raw.min_length, max_length: raw.max_length, pattern: raw.pattern.clone() };
    if kind != FeatureType::String && limits != TextLimits::default() {
        let what = kind.with_article();
        faults.add(path, format!("{what} has no `minLength`, `maxLength` or `pattern`: remove them"));
        return TextLimits::default();
    }
    if let (Some(low), Some(high)) = (limits.min_length, limits.max_length)
        && low > high
    {
        faults.add(path, format!("no text can have at least {low} and at most {high} characters: widen the limits"));
    }
    limits
}

fn allowed(
    values: Option<Vec<RawConstant>>,
    constant: Option<RawConstant>,
    path: &str,
    faults: &mut Faults,
) -> Option<Vec<Constant>> {
    if values.is_some() && constant.is_some() {
        faults.add(path, "`enum` and `const` exclude each other: remove one");
    }
    let values = values.or_else(|| constant.map(|constant| vec![constant]))?;
    if values.is_empty() {
        faults.add(format!("{path}.enum"), "is empty, so that no value would be right: name one, or remove it");
    }
    let checked = |value| match value {
        RawConstant::Number(value) => Constant::Number(value),
        RawConstant::Boolean(value) => Constant::Boolean(value),
        RawConstant::Text(value) => Constant::Text(value),
    };
    Some(values.into_iter().map(checked).collect())
}

/// Why a value of `kind` can never be `constant`.
fn mismatch(constant: &Constant, kind: FeatureType, bounds: &Bounds, text: &TextLimits) -> Option<String> {
    use FeatureType as T;
    /// From here on, 64-bit floating point confuses neighbours.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let fits = match (constant, kind) {
        (Constant::Number(value), T::Number) => value.is_finite(),
        (Constant::Number(value), T::Integer) => value.fract() == 0.0 && value.abs() < EXACT,
        (Constant::Boolean(_), T::Boolean) | (Constant::Text(_), T::String) => true,
        _ => false,
    };
    if !fits {
        return Some(format!("{constant} is not {}: mend the value or the type", kind.with_article()));
    }
    let broken = match constant {
        Constant::Number(value) => bounds.check(*value).err(),
        Constant::Text(value) => text.check_length(value).err(),
        Constant::Boolean(_) => None,
    };
    broken.map(|why| format!("{constant} {why}, says its schema: mend the one or the other"))
}

impl TextLimits {
    /// Whether `text` is as long as it must be.
    ///
    /// # Errors
    /// The limit that it breaks, as a text such as `must have at least 3 characters`.
    pub fn check_length(&self, text: &str) -> Result<(), String> {
        if self.min_length.is_none() && self.max_length.is_none() {
            return Ok(());
        }
        let count = text.chars().count();
        let is_beyond = |limit: u32, order| usize::try_from(limit).is_ok_and(|limit| count.cmp(&limit) == order);
        if let Some(limit) = self.min_length.filter(|&limit| is_beyond(limit, Ordering::Less)) {
            return Err(format!("must have at least {limit} characters"));
        }
        match self.max_length.filter(|&limit| is_beyond(limit, Ordering::Greater)) {
            Some(limit) => Err(format!("must have at most {limit} characters")),
            None => Ok(()),
        }
    }
}

impl Bounds {
    /// Whether `value` obeys the limits.
    ///
    /// # Errors
    /// The first limit that it breaks, as a text such as `must be at least 0`.
    pub fn check(&self, value: f64) -> Result<(), String> {
        let Self { minimum, exclusive_minimum, maximum, exclusive_maximum, multiple_of } = *self;
        if let Some(limit) = minimum.filter(|&limit| value < limit) {
            return Err(format!("must be at least {limit}"));
        }
        if let Some(limit) = exclusive_minimum.filter(|&limit| value <= limit) {
            return Err(format!("must be more than {limit}"));
        }
        if let Some(limit) = maximum.filter(|&limit| value > limit) {
            return Err(format!("must be at most {limit}"));
        }
        if let Some(limit) = exclusive_maximum.filter(|&limit| value >= limit) {
            return Err(format!("must be less than {limit}"));
        }
        if let Some(step) = multiple_of.filter(|&step| !is_multiple(value, step)) {
            return Err(format!("must be a multiple of {step}"));
        }
        Ok(())
    }
}

/// Whether `value` is a whole multiple of `step`. Decimal fractions are not exact in binary: 0.07 counts as 7 times 0.01.
pub(super) fn is_multiple(value: f64, step: f64) -> bool {
    const ROUNDING: f64 = 8.0 * f64::EPSILON;
    let times = value / step;
    (times - times.round()).abs() <= ROUNDING * times.abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiples_are_told_from_others_despite_rounding() {
        for cents in 0..100_000_i32 {
            let amount = f64::from(cents) / 100.0;
            assert!(is_multiple(amount, 0.01) && is_multiple(-amount, 0.01), "{amount}");
            assert!(!is_multiple(amount + 0.005, 0.01), "{amount}");
        }
        assert!(is_multiple(0.0, 3.0) && is_multiple(9.0, 3.0) && !is_multiple(10.0, 3.0));
        assert!(!is_multiple(1e-300, 1.0) && is_multiple(1e300, 1.0));
    }

    #[test]
    fn the_words_state_a_type() {
        let stated = |json: serde_json::Value| {
            let raw: RawFullFeature = serde_json::from_value(json).unwrap();
            raw.stated_type().map(str::to_owned)
        };
        let of = |word: &str, value: serde_json::Value| stated(serde_json::json!({"name": "a", word: value}));
        assert_eq!(of("enum", serde_json::json!(["a", "b"])).as_deref(), Some("string"));
        assert_eq!(of("const", serde_json::json!(true)).as_deref(), Some("boolean"));
        assert_eq!(of("multipleOf", serde_json::json!(2)).as_deref(), Some("number"));
        assert_eq!(of("pattern", serde_json::json!("^a")).as_deref(), Some("string"));
        assert_eq!(of("type", serde_json::json!("integer")).as_deref(), Some("integer"));
        assert_eq!(of("unit", serde_json::json!("s")), None);
    }
}
