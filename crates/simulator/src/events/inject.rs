//! Turns ordinary events into anomalies.

use std::ops::RangeInclusive;

use bytes::{BufMut, BytesMut};
use pulse_core::use_case::raw::{RawChange, RawDraw};
use pulse_core::use_case::{Draw, Feature, NumberLimits, SimulatedAnomaly, UseCase};
use rand::Rng;
use rand_xoshiro::Xoshiro256PlusPlus;
use serde_json::{Map, Value};

use super::json::{self, number};

/// Decimal places of a changed number where the configuration does not say.
const DECIMALS: u8 = 2;

/// How each kind of anomaly changes an event, and which rows can be changed.
#[derive(Debug)]
pub(super) struct Injector {
    kinds: Vec<Kind>,
    ranges: Vec<(String, RangeInclusive<f64>)>,
}

#[derive(Debug)]
struct Kind {
    name: String,
    grows: bool,
    changes: Vec<Change>,
}

/// A change, and what the fields that it changes may hold.
#[derive(Debug)]
struct Change {
    raw: RawChange,
    /// The field, and those that change likewise.
    fields: Vec<(String, NumberLimits)>,
    sum_limits: NumberLimits,
}

/// What an event is made into.
pub(super) struct Anomaly<'a> {
    /// Its kind, by its place among the kinds.
    pub(super) kind: usize,
    /// How far its episode has come, in `(0, 1]`.
    pub(super) progress: f64,
    /// The entity's event before the episode, serialised; needed where a value is held.
    pub(super) before: Option<&'a [u8]>,
}

impl Injector {
    /// The injector of `kinds`.
    pub(super) fn new(use_case: &UseCase, kinds: &[SimulatedAnomaly], is_drawn: bool) -> Self {
        let limits = |field: &str, raw: &RawChange| limits(use_case, field, raw.decimals, is_drawn);
        let prepare = |raw: &RawChange| Change {
            fields: changed(raw).map(|field| (field.to_owned(), limits(field, raw))).collect(),
            sum_limits: limits(raw.add_to.as_deref().unwrap_or_default(), raw),
            raw: raw.clone(),
        };
        let kind = |kind: &SimulatedAnomaly| Kind {
            name: kind.name.clone(),
            grows: kind.grows,
            changes: kind.changes.iter().map(prepare).collect(),
        };
        Self { kinds: kinds.iter().map(kind).collect(), ranges: use_case.simulator.eligible.clone() }
    }

    pub(super) fn kinds(&self) -> impl Iterator<Item = &str> {
        self.kinds.iter().map(|kind| kind.name.as_str())
    }

    pub(super) fn kind(&self, index: usize) -> Option<&str> {
        self.kinds.get(index).map(|kind| kind.name.as_str())
    }

    /// Whether anomalies of kind `index` need the event before them.
    pub(super) fn holds(&self, index: usize) -> bool {
        self.kinds.get(index).is_some_and(|kind| kind.changes.iter().any(|change| change.raw.hold))
    }

    /// Whether `event` lies in the configured ranges and has every number that some kind starts from.
    pub(super) fn is_eligible(&self, event: &Map<String, Value>) -> bool {
        let in_range = |(field, range): &(String, RangeInclusive<f64>)| {
            number(event, field).is_some_and(|value| range.contains(&value))
        };
        let mut changes = self.kinds.iter().flat_map(|kind| &kind.changes).flat_map(|change| starts_from(&change.raw));
        self.ranges.iter().all(in_range) && changes.all(|field| number(event, field).is_some())
    }

    /// Appends `ordinary`, a serialised event, made into an anomaly, to `out`.
    pub(super) fn inject(
        &self,
        anomaly: &Anomaly<'_>,
        ordinary: &[u8],
        random: &mut Xoshiro256PlusPlus,
        out: &mut BytesMut,
    ) {
        // Templates are serialised objects, so that this always is one; else the event would stay as it is.
        let (Some(mut event), Some(kind)) = (parse(ordinary), self.kinds.get(anomaly.kind)) else {
            out.put_slice(ordinary);
            return;
        };
        let before = anomaly.before.and_then(parse);
        let strength = if kind.grows { anomaly.progress } else { 1.0 };
        kind.changes.iter().for_each(|change| change.apply(&mut event, before.as_ref(), strength, random));
        json::write(&event, out);
    }
}

fn parse(event: &[u8]) -> Option<Map<String, Value>> {
    serde_json::from_slice(event).ok()
}

/// What the field `name` may hold; without a limit where it is no feature.
fn limits(use_case: &UseCase, name: &str, decimals: Option<u8>, is_drawn: bool) -> NumberLimits {
    let drawn = use_case.simulator.profile.features.iter().find(|feature| is_drawn && feature.name == name);
    let of_profile = drawn.and_then(|feature| match &feature.draw {
        Draw::Number(number) => Some(number.limits.decimals()),
        Draw::Choice(_) => None,
    });
    let decimals = decimals.or(of_profile).unwrap_or(DECIMALS);
    let feature = use_case.features.iter().find(|feature| feature.name == name);
    feature.map_or_else(|| NumberLimits::new(&Feature::default(), decimals), |f| NumberLimits::new(f, decimals))
}

/// The fields that a change changes.
fn changed(change: &RawChange) -> impl Iterator<Item = &str> {
    std::iter::once(&change.feature).chain(&change.also).map(String::as_str)
}

/// The fields whose values a change starts from.
fn starts_from(change: &RawChange) -> impl Iterator<Item = &str> {
    let is_relative = change.multiply.or(change.divide).or(change.add).is_some() || change.hold;
    let other = change.multiple_of.as_ref().map(|multiple| multiple.feature.as_str());
    changed(change).filter(move |_| is_relative).chain(other).chain(change.add_to.as_deref())
}

impl Change {
    /// Changes `event`, `strength` of the way.
    fn apply(
        &self,
        event: &mut Map<String, Value>,
        earlier: Option<&Map<String, Value>>,
        strength: f64,
        random: &mut Xoshiro256PlusPlus,
    ) {
        let raw = &self.raw;
        let multiple = raw.multiple_of.as_ref();
        let draw = [raw.multiply, raw.divide, raw.add, raw.set, multiple.map(|multiple| multiple.times)];
        let drawn = draw.into_iter().flatten().next().map_or(0.0, |draw| self::draw(draw, random));
        for (field, limits) in &self.fields {
            let before = number(event, field).unwrap_or(0.0);
            let after = if raw.multiply.is_some() {
                before * drawn
            } else if raw.divide.is_some() {
                before / drawn
            } else if raw.add.is_some() {
                before + drawn
            } else if raw.set.is_some() {
                drawn
            } else if let Some(multiple) = multiple {
                number(event, &multiple.feature).unwrap_or(0.0) * drawn
            } else {
                earlier.and_then(|event| number(event, field)).unwrap_or(before)
            };
            let after = if strength < 1.0 { before + (after - before) * strength } else { after };
            let after = limits.fit(after);
            put(event, field, after);
            if let Some(sum) = &raw.add_to {
                let total = number(event, sum).unwrap_or(0.0) + after - before;
                put(event, sum, self.sum_limits.fit(total));
            }
        }
    }
}

fn draw(draw: RawDraw, random: &mut Xoshiro256PlusPlus) -> f64 {
    let (low, high) = draw.bounds();
    if low < high { random.random_range(low..=high) } else { low }
}

fn put(event: &mut Map<String, Value>, path: &str, value: f64) {
    if let Some(number) = json::to_number(value) {
        json::put(event, path, Value::Number(number));
    }
}

#[cfg(test)]
mod tests {
    use pulse_core::use_case::raw::RawUseCase;
    use rand::SeedableRng;
    use serde_json::json;

    use super::*;

    /// `event` with `change` made to it, and after `change` again, `strength` of the way.
    fn inject(change: &Value, lasts: u32, grows: bool, anomaly: &Anomaly<'_>, event: &Value) -> Value {
        let config = json!({
            "name": "trips", "features": [
                {"name": "fare", "maximum": 50}, "tip", "total", {"name": "trip.time", "type": "integer"}, "new.field",
            ],
            "simulator": {"anomalies": [{"name": "odd", "lasts": lasts, "grows": grows, "changes": [change]}]},
        });
        let use_case = UseCase::try_from(serde_json::from_value::<RawUseCase>(config).unwrap()).unwrap();
        let injector = Injector::new(&use_case, &use_case.simulator.anomalies, false);
        let mut out = BytesMut::new();
        let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
        injector.inject(anomaly, event.to_string().as_bytes(), &mut random, &mut out);
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn changes_do_what_they_say() {
        let event = json!({"fare": 10.5, "tip": 1, "total": 11.5, "trip": {"time": 100}});
        let whole = Anomaly { kind: 0, progress: 1.0, before: None };
        for (change, path, expected) in [
            (json!({"feature": "fare", "multiply": 2}), "/fare", json!(21)),
            (json!({"feature": "fare", "multiply": 20}), "/fare", json!(50)),
            (json!({"feature": "fare", "add": -1.25}), "/fare", json!(9.25)),
            (json!({"feature": "trip.time", "divide": 8, "decimals": 0}), "/trip/time", json!(13)),
            (json!({"feature": "trip.time", "add": 0.4}), "/trip/time", json!(100)),
            (json!({"feature": "fare", "set": 40.126, "add_to": "total"}), "/fare", json!(40.13)),
            (json!({"feature": "fare", "set": 40.126, "add_to": "total"}), "/total", json!(41.13)),
            (json!({"feature": "tip", "multiple_of": {"feature": "fare", "times": 3}}), "/tip", json!(31.5)),
            (json!({"feature": "new.field", "set": 1}), "/new", json!({"field": 1})),
            (json!({"feature": "fare", "also": ["tip", "trip.time"], "multiply": 3}), "/trip/time", json!(300)),
        ] {
            let changed = inject(&change, 1, false, &whole, &event);
            assert_eq!(changed.pointer(path), Some(&expected), "{change}");
        }
    }

    #[test]
    fn what_grows_goes_part_of_the_way_and_what_is_held_repeats() {
        let event = json!({"fare": 10, "tip": 1, "total": 11});
        let half = Anomaly { kind: 0, progress: 0.5, before: None };
        assert_eq!(inject(&json!({"feature": "fare", "multiply": 3}), 9, true, &half, &event)["fare"], 20);
        assert_eq!(inject(&json!({"feature": "fare", "multiply": 3}), 9, false, &half, &event)["fare"], 30);
        let earlier = json!({"fare": 7.25}).to_string();
        let after = Anomaly { before: Some(earlier.as_bytes()), ..half };
        let held = inject(&json!({"feature": "fare", "hold": true, "add_to": "total"}), 9, false, &after, &event);
        assert_eq!((&held["fare"], &held["total"]), (&json!(7.25), &json!(8.25)));
    }
}
