//! Ordinary events drawn from a profile: every entity in turn, each with a level of its own and the rhythms of day and week.
//!
//! The rhythms follow the profile's own time: event 0 lies at midnight on a Monday, and an entity's next event
//! `interval_seconds` later, whatever the pace. The timestamps that a reader sees follow the pace instead, so at a rate a day of
//! the rhythm lasts as long as a day's events take: with 1,000 entities, a minute between their events and 200 events a second, two
//! hours. Only at a speed of 1, begun at midnight on a Monday (UTC), do both agree.
//!
//! Were the values to follow the timestamps, they would depend on pace and start of each run: an event would no longer be a
//! function of seed and number, a run that goes on after a stop would not go on where it was (a value that is held could
//! change in the midst of an anomaly), and as fast as possible there would be no rhythm at all.

use bytes::{BufMut, Bytes, BytesMut};
use pulse_core::TimestampMs;
use pulse_core::use_case::{Constant, Draw, Entity, Profile, UseCase};
use pulse_features::format_rfc3339;
use rand::Rng;
use rand_distr::StandardNormal;
use serde_json::{Map, Value};

use super::number::Number;
use super::template::Template;
use super::{Place, json, random};

const HOUR_MS: f64 = 3_600_000.0;
const DAY_MS: f64 = 24.0 * HOUR_MS;
const WEEK_MS: f64 = 7.0 * DAY_MS;
/// When days and weeks, which begin at midnight and on Mondays, are at their highest: at 14:00, on Wednesdays.
const DAILY_PEAK_MS: f64 = 14.0 * HOUR_MS;
const WEEKLY_PEAK_MS: f64 = 2.0 * DAY_MS + DAILY_PEAK_MS;

/// A profile, prepared to draw from.
#[derive(Debug)]
pub(super) struct Drawn {
    profile: Profile,
    /// Whether the entity is written as a number.
    entity_is_number: bool,
    /// Whether the time is written as a number, of milliseconds.
    time_is_number: bool,
    features: Vec<Feature>,
    has_rhythm: bool,
    template: Template<Hole>,
    seed: u64,
}

#[derive(Debug)]
enum Feature {
    Number(Number),
    /// One of these, serialised.
    Choice(Vec<Box<[u8]>>),
}

/// What goes into an event.
#[derive(Debug, Clone, Copy)]
enum Hole {
    Entity,
    Time,
    Feature(usize),
}

/// The rhythms of day and week at some time, in `[-1, 1]`.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rhythm {
    pub(super) day: f64,
    pub(super) week: f64,
}

impl Drawn {
    pub(super) fn new(use_case: &UseCase, seed: u64) -> Self {
        let profile = use_case.simulator.profile.clone();
        let (mut event, mut holes) = (Map::new(), Vec::new());
        for (index, feature) in profile.features.iter().enumerate() {
            holes.push((feature.name.as_str(), Hole::Feature(index)));
        }
        let is_number =
            |field: &str| use_case.features.iter().any(|feature| feature.name == field && feature.kind.is_numeric());
        let time = use_case.timestamp.field.as_deref();
        let entity = match &use_case.entity {
            Entity::Key => None,
            Entity::Field(field) => Some(field.as_str()),
        };
        holes.extend(time.map(|field| (field, Hole::Time)));
        holes.extend(entity.map(|field| (field, Hole::Entity)));
        holes.iter().for_each(|(path, _)| json::put(&mut event, path, Value::Null));
        let template = Template::new(event, holes);
        let features: Vec<Feature> = profile.features.iter().map(|feature| Feature::new(&feature.draw)).collect();
        let has_rhythm =
            features.iter().any(|feature| matches!(feature, Feature::Number(number) if number.has_rhythm()));
        let (entity_is_number, time_is_number) = (entity.is_some_and(is_number), time.is_some_and(is_number));
        Self { profile, entity_is_number, time_is_number, features, has_rhythm, template, seed }
    }

    /// Milliseconds of the profile's own time, which begins at midnight on a Monday, at event `i`.
    pub(super) fn own_time_ms(&self, i: u64) -> u64 {
        let ms = u128::from(i) * u128::from(self.profile.interval_ms) / u128::from(self.entities());
        u64::try_from(ms).unwrap_or(u64::MAX)
    }

    pub(super) fn place(&self, i: u64) -> Place {
        Place { entity: i % self.entities(), step: i / self.entities() }
    }

    pub(super) fn number(&self, place: Place) -> u64 {
        place.step.saturating_mul(self.entities()).saturating_add(place.entity)
    }

    pub(super) fn key(&self, i: u64) -> Bytes {
        Bytes::from(self.profile.entities.name(self.place(i).entity).into_owned())
    }

    /// Appends event `i`, which happens at `time`, to `out`.
    pub(super) fn render(&self, i: u64, time: TimestampMs, out: &mut BytesMut) {
        let values = self.draw(i);
        self.template.render(out, |hole, out| match hole {
            Hole::Entity => {
                let name = self.profile.entities.name(self.place(i).entity);
                if self.entity_is_number { out.put_slice(name.as_bytes()) } else { json::write(&name, out) }
            }
            Hole::Time if self.time_is_number => json::write(&time, out),
            Hole::Time => json::write(std::str::from_utf8(&format_rfc3339(time)).unwrap_or_default(), out),
            Hole::Feature(index) => self.features[index].write(values[index], out),
        });
    }

    /// The value of every feature; of a choice, which one.
    fn draw(&self, i: u64) -> Vec<f64> {
        let mut of_entity = random::of_entity(self.seed, self.place(i).entity);
        let mut of_event = random::of_values(self.seed, i);
        let rhythm = if self.has_rhythm { Rhythm::at(self.own_time_ms(i)) } else { Rhythm::default() };
        let mut values = Vec::with_capacity(self.features.len());
        for feature in &self.features {
            values.push(match feature {
                Feature::Number(number) => {
                    let own = of_entity.sample(StandardNormal);
                    number.draw(own, rhythm, &values, &mut of_event)
                }
                #[expect(clippy::cast_precision_loss, reason = "an index into a list that somebody wrote down")]
                Feature::Choice(choices) => of_event.random_range(0..choices.len().max(1)) as f64,
            });
        }
        values
    }

    fn entities(&self) -> u64 {
        self.profile.entities.count().max(1)
    }
}

impl Feature {
    fn new(draw: &Draw) -> Self {
        let text = |constant: &Constant| {
            let value = match constant {
                Constant::Number(number) => json::to_number(*number).map_or(Value::Null, Value::Number),
                Constant::Boolean(value) => Value::Bool(*value),
                Constant::Text(text) => Value::String(text.clone()),
            };
            value.to_string().into_bytes().into_boxed_slice()
        };
        match draw {
            Draw::Number(profile) => Self::Number(Number::new(profile)),
            Draw::Choice(values) => Self::Choice(values.iter().map(text).collect()),
        }
    }

    fn write(&self, value: f64, out: &mut BytesMut) {
        match self {
            Self::Number(_) => json::write(&json::to_number(value), out),
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "an index, whole and not negative"
            )]
            Self::Choice(choices) => out.put_slice(choices.get(value as usize).map_or(&b"null"[..], |text| &**text)),
        }
    }
}

impl Rhythm {
    fn at(own_time_ms: u64) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "some milliseconds do not matter to a day")]
        let time = own_time_ms as f64;
        let wave = |peak: f64, period: f64| libm::cos((time - peak) / period * std::f64::consts::TAU);
        Self { day: wave(DAILY_PEAK_MS, DAY_MS), week: wave(WEEKLY_PEAK_MS, WEEK_MS) }
    }
}
