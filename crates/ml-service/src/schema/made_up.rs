//! An event made up from the limits of its fields, for use cases without a sample.

use pulse_core::UseCase;
use pulse_core::use_case::{Bounds, Feature, FeatureType, TextLimits};
use serde_json::{Map, Value, json};

use super::constant;

/// An event within the limits of every feature. None where a text must match a pattern, or the fields must obey rules: what is
/// made up would hardly do.
pub(crate) fn event(use_case: &UseCase) -> Option<Map<String, Value>> {
    let mut event = Map::new();
    for feature in &use_case.features {
        let is_time = use_case.timestamp.field.as_ref() == Some(&feature.name);
        set_at(&mut event, &feature.name, if is_time { time(feature) } else { value(feature) }?);
    }
    use_case.rules.is_empty().then_some(event)
}

/// A time in the form of `feature`; none where its limits leave no room for it.
fn time(feature: &Feature) -> Option<Value> {
    const TEXT: &str = "2026-01-31T08:00:00Z";
    const MILLISECONDS: f64 = 1_769_846_400_000.0;
    match feature.kind {
        _ if feature.allowed.is_some() => value(feature),
        FeatureType::String => {
            let fits = feature.text.pattern.is_none() && feature.text.check_length(TEXT).is_ok();
            fits.then(|| json!(TEXT))
        }
        FeatureType::Number | FeatureType::Integer => {
            feature.bounds.check(MILLISECONDS).is_ok().then(|| json!(MILLISECONDS as i64))
        }
        FeatureType::Boolean => None,
    }
}

fn value(feature: &Feature) -> Option<Value> {
    if let Some(allowed) = &feature.allowed {
        return allowed.first().map(constant);
    }
    Some(match feature.kind {
        FeatureType::Boolean => json!(true),
        FeatureType::String => json!(text_within(&feature.text)?),
        FeatureType::Number => json!(number_within(feature.bounds)),
        FeatureType::Integer => json!(integer_within(feature.bounds)),
    })
}

fn text_within(limits: &TextLimits) -> Option<String> {
    /// Nobody wants to read a longer example.
    const LONGEST: u32 = 1000;
    let TextLimits { min_length, max_length, pattern } = limits;
    let (low, high) = (min_length.unwrap_or(0), max_length.unwrap_or(LONGEST));
    let length = usize::try_from(4.clamp(low.min(high), high)).ok()?;
    (pattern.is_none() && low <= LONGEST).then(|| "text".chars().cycle().take(length).collect())
}

fn number_within(bounds: Bounds) -> f64 {
    let low = bounds.minimum.into_iter().chain(bounds.exclusive_minimum).reduce(f64::max);
    let high = bounds.maximum.into_iter().chain(bounds.exclusive_maximum).reduce(f64::min);
    let inside = match (low, high) {
        (Some(low), Some(high)) => low + (high - low) / 2.0,
        (Some(low), None) => low + 1.0,
        (None, Some(high)) => high - 1.0,
        (None, None) => 1.0,
    };
    let Some(step) = bounds.multiple_of else { return inside };
    let times = inside / step;
    [times.floor(), times.ceil()]
        .map(|times| times * step)
        .into_iter()
        .find(|value| bounds.check(*value).is_ok())
        .unwrap_or(inside)
}

fn integer_within(bounds: Bounds) -> i64 {
    let inside = number_within(bounds);
    let nearest = if bounds.check(inside.floor()).is_ok() { inside.floor() } else { inside.ceil() };
    nearest as i64
}

fn set_at(event: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('.') {
        None => drop(event.insert(path.to_owned(), value)),
        Some((name, rest)) => {
            if let Value::Object(child) = event.entry(name).or_insert_with(|| json!({})) {
                set_at(child, rest, value);
            }
        }
    }
}
