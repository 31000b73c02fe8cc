//! Turns ordinary events into anomalies.

use std::ops::RangeInclusive;

use bytes::{BufMut, BytesMut};
use pulse_core::use_case::raw::{RawChange, RawDraw};
use pulse_core::use_case::{SimulatedAnomaly, SimulatorSettings};
use rand::Rng;
use rand_xoshiro::Xoshiro256PlusPlus;
use serde_json::{Map, Number, Value};

/// Decimal places of a changed number where the configuration does not say.
const DECIMALS: u8 = 2;

/// The kinds of anomalies, and which rows they can be made of.
#[derive(Debug)]
pub(super) struct Injector {
    kinds: Vec<SimulatedAnomaly>,
    ranges: Vec<(String, RangeInclusive<f64>)>,
}

impl Injector {
    pub(super) fn new(settings: &SimulatorSettings) -> Self {
        Self { kinds: settings.anomalies.clone(), ranges: settings.eligible.clone() }
    }

    pub(super) fn kinds(&self) -> impl Iterator<Item = &str> {
        self.kinds.iter().map(|kind| kind.name.as_str())
    }

    pub(super) fn kind(&self, index: usize) -> Option<&str> {
        self.kinds.get(index).map(|kind| kind.name.as_str())
    }

    /// Whether `event` lies in the configured ranges and has every number that some kind starts from.
    pub(super) fn is_eligible(&self, event: &Map<String, Value>) -> bool {
        let in_range = |(field, range): &(String, RangeInclusive<f64>)| {
            number(event, field).is_some_and(|value| range.contains(&value))
        };
        let changes = self.kinds.iter().flat_map(|kind| &kind.changes);
        self.ranges.iter().all(in_range) && changes.flat_map(starts_from).all(|field| number(event, field).is_some())
    }

    /// A kind, each as likely as the others.
    pub(super) fn pick(&self, random: &mut Xoshiro256PlusPlus) -> usize {
        random.random_range(0..self.kinds.len().max(1))
    }

    /// Appends `ordinary`, a serialised event, changed into an anomaly of `kind`, to `out`.
    pub(super) fn inject(&self, kind: usize, ordinary: &[u8], random: &mut Xoshiro256PlusPlus, out: &mut BytesMut) {
        let changes = self.kinds.get(kind).map_or(&[][..], |kind| &kind.changes);
        match serde_json::from_slice::<Value>(ordinary) {
            Ok(Value::Object(mut event)) => {
                changes.iter().for_each(|change| apply(change, &mut event, random));
                out.put_slice(Value::Object(event).to_string().as_bytes());
            }
            // Templates are serialised objects, so that this is not reached; the event stays as it is.
            _ => out.put_slice(ordinary),
        }
    }
}

/// The fields whose values a change starts from.
fn starts_from(change: &RawChange) -> impl Iterator<Item = &str> {
    let scaled = change.multiply.or(change.divide).map(|_| change.feature.as_str());
    let other = change.multiple_of.as_ref().map(|multiple| multiple.feature.as_str());
    scaled.into_iter().chain(other).chain(change.add_to.as_deref())
}

fn apply(change: &RawChange, event: &mut Map<String, Value>, random: &mut Xoshiro256PlusPlus) {
    let before = number(event, &change.feature).unwrap_or(0.0);
    let after = if let Some(draw) = change.multiply {
        before * self::draw(draw, random)
    } else if let Some(draw) = change.divide {
        before / self::draw(draw, random)
    } else if let Some(draw) = change.set {
        self::draw(draw, random)
    } else if let Some(multiple) = &change.multiple_of {
        number(event, &multiple.feature).unwrap_or(0.0) * self::draw(multiple.times, random)
    } else {
        before
    };
    let decimals = change.decimals.unwrap_or(DECIMALS);
    let after = round(after, decimals);
    put(event, &change.feature, after);
    if let Some(sum) = &change.add_to {
        let total = number(event, sum).unwrap_or(0.0) + after - before;
        put(event, sum, round(total, decimals));
    }
}

fn draw(draw: RawDraw, random: &mut Xoshiro256PlusPlus) -> f64 {
    let (low, high) = draw.bounds();
    if low < high { random.random_range(low..=high) } else { low }
}

fn round(value: f64, decimals: u8) -> f64 {
    let scale = 10_f64.powi(i32::from(decimals));
    (value * scale).round() / scale
}

fn number(event: &Map<String, Value>, path: &str) -> Option<f64> {
    get(event, path).and_then(Value::as_f64)
}

/// The value at the dotted `path`.
pub(super) fn get<'a>(event: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let value = event.get(first)?;
    rest.map_or(Some(value), |rest| get(value.as_object()?, rest))
}

/// The value at the dotted `path`, to be changed.
pub(super) fn get_mut<'a>(event: &'a mut Map<String, Value>, path: &str) -> Option<&'a mut Value> {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let value = event.get_mut(first)?;
    match rest {
        None => Some(value),
        Some(rest) => get_mut(value.as_object_mut()?, rest),
    }
}

/// Sets the number at the dotted `path`, without a fraction where it has none, as the sample writes it.
fn put(event: &mut Map<String, Value>, path: &str, value: f64) {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
    let number = if value.fract() == 0.0 && value.abs() < EXACT {
        Some(Number::from(value as i64))
    } else {
        Number::from_f64(value)
    };
    let Some(number) = number else { return };
    match path.split_once('.') {
        None => {
            event.insert(path.to_owned(), Value::Number(number));
        }
        Some((first, rest)) => {
            let inner = event.entry(first).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use serde_json::json;

    use super::*;

    fn change(change: Value, event: Value) -> Value {
        let (change, Value::Object(mut event)) = (serde_json::from_value(change).unwrap(), event) else { panic!() };
        apply(&change, &mut event, &mut Xoshiro256PlusPlus::seed_from_u64(1));
        Value::Object(event)
    }

    #[test]
    fn changes_do_what_they_say() {
        let event = json!({"fare": 10.5, "tip": 1, "total": 11.5, "trip": {"time": 100}});
        for (operation, expected) in [
            (
                json!({"feature": "fare", "multiply": 2}),
                json!({"fare": 21, "tip": 1, "total": 11.5, "trip": {"time": 100}}),
            ),
            (
                json!({"feature": "trip.time", "divide": 8, "decimals": 0}),
                json!({"fare": 10.5, "tip": 1, "total": 11.5, "trip": {"time": 13}}),
            ),
            (
                json!({"feature": "fare", "set": 40.126, "add_to": "total"}),
                json!({"fare": 40.13, "tip": 1, "total": 41.13, "trip": {"time": 100}}),
            ),
            (
                json!({"feature": "tip", "multiple_of": {"feature": "fare", "times": 3}, "add_to": "total"}),
                json!({"fare": 10.5, "tip": 31.5, "total": 42, "trip": {"time": 100}}),
            ),
            (
                json!({"feature": "new.field", "set": 1}),
                json!({"fare": 10.5, "tip": 1, "total": 11.5, "trip": {"time": 100}, "new": {"field": 1}}),
            ),
        ] {
            assert_eq!(change(operation.clone(), event.clone()), expected, "{operation}");
        }
    }
}
