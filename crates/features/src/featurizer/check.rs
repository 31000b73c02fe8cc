//! What a single value must be.

use std::borrow::Cow;

use pulse_core::TimestampMs;
use pulse_core::use_case::{Bounds, Feature, FeatureType};

use super::MAX_ENTITY_BYTES;
use crate::decode::{Slot, Slots, Text};
use crate::instant;

/// The number that stands for a feature's value: `NaN` where it is missing or text. The error is a fault's message.
pub(super) fn number(feature: &Feature, slot: Slot) -> Result<f64, String> {
    use FeatureType as T;
    match (feature.kind, slot) {
        (_, Slot::Missing) if feature.required => Err(format!("is required: send a {}", feature.kind.as_str())),
        (_, Slot::Missing) | (T::String, Slot::Text(_)) => Ok(f64::NAN),
        (T::Boolean, Slot::Boolean(value)) => Ok(f64::from(u8::from(value))),
        #[expect(clippy::cast_precision_loss, reason = "columns are 64-bit floating point")]
        (T::Number | T::Integer, Slot::Integer(value)) => within(&feature.bounds, value as f64),
        (T::Number, Slot::Float(value)) => within(&feature.bounds, value),
        (T::Integer, Slot::Float(value)) => {
            const LIMIT: f64 = 9_223_372_036_854_775_808.0;
            if value.fract() != 0.0 {
                Err("must be a whole number".to_owned())
            } else if !(-LIMIT..LIMIT).contains(&value) {
                Err("must fit in 64 bits".to_owned())
            } else {
                within(&feature.bounds, value)
            }
        }
        (T::Number | T::Integer, Slot::Text(_)) => {
            Err(format!("must be a {}, not a string: send it without quotes", feature.kind.as_str()))
        }
        (kind, slot) => Err(format!("must be a {}, not {}", kind.as_str(), slot.what())),
    }
}

fn within(bounds: &Bounds, value: f64) -> Result<f64, String> {
    let Bounds { minimum, exclusive_minimum, maximum, exclusive_maximum } = *bounds;
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
    Ok(value)
}

/// The entity as text; a number as JSON writes it.
pub(super) fn entity<'p>(slot: Slot, slots: &Slots, payload: &'p str) -> Result<Cow<'p, str>, String> {
    let entity = match slot {
        Slot::Text(Text::Payload { start, end }) => Cow::Borrowed(payload.get(start..end).unwrap_or_default()),
        Slot::Text(place) => Cow::Owned(slots.text(place, payload).to_owned()),
        Slot::Integer(value) => Cow::Owned(value.to_string()),
        Slot::Float(value) => Cow::Owned(serde_json::Value::from(value).to_string()),
        Slot::Missing => return Err("is required: send the entity as a string or a number".to_owned()),
        other => return Err(format!("must be a string or a number, not {}", other.what())),
    };
    if entity.is_empty() {
        return Err("is empty: send the entity's name".to_owned());
    }
    if entity.len() > MAX_ENTITY_BYTES {
        return Err(format!("has {} bytes: an entity has at most {MAX_ENTITY_BYTES}", entity.len()));
    }
    Ok(entity)
}

/// The event's time in milliseconds since the Unix epoch.
pub(super) fn time(slot: Slot, slots: &Slots, payload: &str) -> Result<TimestampMs, String> {
    const FORMS: &str = "RFC 3339 text such as \"2021-01-04T08:00:00Z\", or milliseconds since 1970";
    #[expect(clippy::cast_precision_loss, reason = "a date in milliseconds has at most 49 bits")]
    let found = match slot {
        Slot::Text(place) => instant::parse_rfc3339(slots.text(place, payload)),
        Slot::Integer(value) => instant::from_epoch_ms(value as f64),
        Slot::Float(value) => instant::from_epoch_ms(value),
        Slot::Missing => return Err(format!("is required: send {FORMS}")),
        other => return Err(format!("must be {FORMS}, not {}", other.what())),
    };
    found.ok_or_else(|| format!("is no instant: send {FORMS}"))
}
