//! Reads serde types from a tree, and says where in it one could not be read.

use std::fmt::Display;

use pulse_core::nearest;
use serde::de::value::StrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error, Expected, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use super::{Entry, Kind, Node, Scalar, expected};

/// Why a type could not be read.
#[derive(Debug)]
pub(super) struct ReadError {
    pub(super) message: String,
    /// Where: places among the entries of maps and the items of lists, from the inside out.
    pub(super) place: Vec<usize>,
    /// Whether the key itself is at fault.
    pub(super) unknown_key: bool,
}

impl std::error::Error for ReadError {}

impl Display for ReadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for ReadError {
    fn custom<T: Display>(message: T) -> Self {
        Self { message: message.to_string(), place: Vec::new(), unknown_key: false }
    }

    fn invalid_type(found: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        Self::custom(format!("must be {}, not {}", expected::wanted(&wanted.to_string()), expected::found(found)))
    }

    fn invalid_value(found: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        Self::invalid_type(found, wanted)
    }

    fn unknown_field(key: &str, known: &'static [&'static str]) -> Self {
        let mend = match nearest(key, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are {}", known.join(", ")),
        };
        Self { unknown_key: true, ..Self::custom(format!("is no key that is known here: {mend}")) }
    }

    fn missing_field(key: &'static str) -> Self {
        Self::custom(format!("has no `{key}`: add it"))
    }
}

impl ReadError {
    fn at(mut self, place: usize) -> Self {
        self.place.push(place);
        self
    }
}

impl<'de> Deserializer<'de> for &'de Node {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.kind {
            Kind::Map(entries) => visitor.visit_map(Entries { entries, at: 0 }),
            Kind::List(items) => visitor.visit_seq(Items { items, at: 0 }),
            Kind::Scalar(Scalar::Null) => visitor.visit_unit(),
            Kind::Scalar(Scalar::Boolean(value)) => visitor.visit_bool(*value),
            Kind::Scalar(Scalar::Integer(value)) => visitor.visit_i64(*value),
            Kind::Scalar(Scalar::Large(value)) => visitor.visit_u64(*value),
            Kind::Scalar(Scalar::Float(value)) => visitor.visit_f64(*value),
            Kind::Scalar(Scalar::Text(value)) => visitor.visit_borrowed_str(value),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.kind {
            Kind::Scalar(Scalar::Null) => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    /// A section of which everything is commented out is an empty one.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.deserialize_map(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.kind {
            Kind::Scalar(Scalar::Null) => visitor.visit_map(Entries { entries: &[], at: 0 }),
            // Types that serde derives would take a list of their fields in order as well.
            Kind::List(_) => Err(ReadError::invalid_type(Unexpected::Seq, &visitor)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.kind {
            Kind::Scalar(Scalar::Null) => visitor.visit_seq(Items { items: &[], at: 0 }),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct tuple
        tuple_struct enum identifier ignored_any
    }
}

struct Entries<'de> {
    entries: &'de [Entry],
    at: usize,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, ReadError> {
        let Some(entry) = self.entries.get(self.at) else { return Ok(None) };
        let key = seed.deserialize(StrDeserializer::new(&entry.key));
        key.map(Some).map_err(|error: ReadError| error.at(self.at))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, ReadError> {
        let entry = self.entries.get(self.at).ok_or_else(|| ReadError::custom("ends early"))?;
        let value = seed.deserialize(&entry.value).map_err(|error| error.at(self.at));
        self.at += 1;
        value
    }
}

struct Items<'de> {
    items: &'de [(usize, Node)],
    at: usize,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, ReadError> {
        let Some((_, item)) = self.items.get(self.at) else { return Ok(None) };
        let value = seed.deserialize(item).map_err(|error| error.at(self.at));
        self.at += 1;
        value.map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len().saturating_sub(self.at))
    }
}
