//! The serde visitors that fill [`Slots`] from JSON text.

use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::fields::{FieldTree, Node, Target};
use super::{Slot, Slots, Text};

/// What stands where an object belongs, with its article; none where it is one.
type Instead = Option<&'static str>;

/// What null is called: the same as nothing at all.
const NOTHING: &str = "nothing";

/// Reads the fields of `tree` from `text` into `slots`; yields what it is where it is JSON but no object.
pub(super) fn read(tree: &FieldTree, text: &str, slots: &mut Slots) -> serde_json::Result<Instead> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let seed = ObjectSeed { node: &tree.root, slots, base: text.as_ptr() as usize };
    let instead = seed.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(instead)
}

/// Reads an object; anything else is skipped.
struct ObjectSeed<'a> {
    node: &'a Node,
    slots: &'a mut Slots,
    /// Address of the payload's first byte, from which borrowed text is measured.
    base: usize,
}

impl<'de> DeserializeSeed<'de> for ObjectSeed<'_> {
    type Value = Instead;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Instead, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ObjectSeed<'_> {
    type Value = Instead;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Instead, A::Error> {
        let Self { node, slots, base } = self;
        let mut hint = 0;
        while let Some(found) = map.next_key_seed(KeySeed { node, hint })? {
            let Some((at, (_, target))) = found.and_then(|at| Some((at, node.children.get(at)?))) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            hint = at + 1;
            match target {
                Target::Field(index) => {
                    slots.reading = Some(*index);
                    let unescaped = &mut slots.unescaped;
                    slots.values[*index] = map.next_value_seed(ValueSeed { unescaped, base })?;
                    slots.reading = None;
                }
                Target::Object(node) => {
                    fill(node, slots, Slot::Missing);
                    let instead = map.next_value_seed(ObjectSeed { node, slots: &mut *slots, base })?;
                    if let Some(what) = instead.filter(|&what| what != NOTHING) {
                        fill(node, slots, Slot::Outside(what));
                    }
                }
            }
        }
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Instead, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Some("an array"))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Instead, E> {
        Ok(Some("a boolean"))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Instead, E> {
        Ok(Some("a number"))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Instead, E> {
        Ok(Some("a number"))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Instead, E> {
        Ok(Some("a number"))
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Instead, E> {
        Ok(Some("a string"))
    }

    fn visit_unit<E: Error>(self) -> Result<Instead, E> {
        Ok(Some(NOTHING))
    }
}

/// Puts `slot` into all fields within `node`. They are emptied before they are read: of a key that comes twice, the last one
/// counts as a whole.
fn fill(node: &Node, slots: &mut Slots, slot: Slot) {
    for (_, target) in &node.children {
        match target {
            Target::Field(index) => slots.values[*index] = slot,
            Target::Object(node) => fill(node, slots, slot),
        }
    }
}

/// Finds the place of a key among the children of a node.
struct KeySeed<'a> {
    node: &'a Node,
    hint: usize,
}

impl<'de> DeserializeSeed<'de> for KeySeed<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<usize>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Option<usize>, E> {
        Ok(self.node.find(key, self.hint))
    }
}

/// Reads the value of a field.
struct ValueSeed<'a> {
    unescaped: &'a mut String,
    base: usize,
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = Slot;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Slot, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
    type Value = Slot;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Slot, E> {
        Ok(Slot::Boolean(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Slot, E> {
        Ok(Slot::Integer(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Slot, E> {
        Ok(i64::try_from(value).map_or(Slot::Unsigned(value), Slot::Integer))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Slot, E> {
        Ok(Slot::Float(value))
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Slot, E> {
        let start = (value.as_ptr() as usize).wrapping_sub(self.base);
        Ok(Slot::Text(Text::Payload { start, end: start.wrapping_add(value.len()) }))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Slot, E> {
        let start = self.unescaped.len();
        self.unescaped.push_str(value);
        Ok(Slot::Text(Text::Unescaped { start, end: self.unescaped.len() }))
    }

    fn visit_unit<E: Error>(self) -> Result<Slot, E> {
        Ok(Slot::Missing)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Slot, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Slot::Other("an array"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Slot, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Slot::Other("an object"))
    }
}
