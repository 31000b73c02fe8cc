//! From the bytes of an event to the values of its fields, in one pass and without an allocation per event.

mod fields;
mod payload;
mod visitor;

pub(crate) use fields::{FieldTree, PathClash};
pub(crate) use payload::{digits_at, quote_at};

use pulse_core::use_case::PayloadLimits;

use crate::fault::Fault;

/// Where a text value stands, so that a slot borrows from nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Text {
    /// In the payload.
    Payload {
        /// First byte.
        start: usize,
        /// One more than the last byte.
        end: usize,
    },
    /// In the buffer of unescaped text.
    Unescaped {
        /// First byte.
        start: usize,
        /// One more than the last byte.
        end: usize,
    },
}

/// The value of one field.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Slot {
    /// Absent, or null.
    Missing,
    /// A number with a fraction, or too large for an integer.
    Float(f64),
    /// A whole number.
    Integer(i64),
    /// A whole number that takes 64 bits without a sign.
    Unsigned(u64),
    /// `true` or `false`.
    Boolean(bool),
    /// Text.
    Text(Text),
    /// An array or an object: its name with article.
    Other(&'static str),
    /// The field lies in something that is no object: its name with article.
    Outside(&'static str),
}

impl Slot {
    /// What a person calls it.
    pub(crate) fn what(self) -> &'static str {
        match self {
            Self::Missing => "nothing",
            Self::Float(_) | Self::Integer(_) | Self::Unsigned(_) => "a number",
            Self::Boolean(_) => "a boolean",
            Self::Text(_) => "a string",
            Self::Other(what) | Self::Outside(what) => what,
        }
    }
}

/// The values of the fields of one event. It is kept from event to event for its buffers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Slots {
    values: Vec<Slot>,
    /// Text that had escapes.
    unescaped: String,
    /// The field whose value is being read.
    reading: Option<usize>,
}

impl Slots {
    /// The value of field `index`.
    pub(crate) fn get(&self, index: usize) -> Slot {
        self.values.get(index).copied().unwrap_or(Slot::Missing)
    }

    /// The text at `place`; `payload` is the one that was read last.
    pub(crate) fn text<'a>(&'a self, place: Text, payload: &'a str) -> &'a str {
        match place {
            Text::Payload { start, end } => payload.get(start..end),
            Text::Unescaped { start, end } => self.unescaped.get(start..end),
        }
        .unwrap_or_default()
    }

    /// Fills itself with the fields of `payload`, which comes back as text.
    pub(crate) fn read<'p>(
        &mut self,
        tree: &FieldTree,
        payload: &'p [u8],
        limits: PayloadLimits,
    ) -> Result<&'p str, Fault> {
        let text = payload::check(payload, limits)?;
        self.values.clear();
        self.values.resize(tree.len(), Slot::Missing);
        self.unescaped.clear();
        self.reading = None;
        match visitor::read(tree, text, self) {
            Ok(None) => Ok(text),
            Ok(Some(_)) => Err(payload::not_an_object(text)),
            Err(error) => Err(match self.reading {
                Some(index) if payload::is_out_of_range(&error) => payload::too_large(tree.path(index)),
                _ => payload::not_json(&error, text),
            }),
        }
    }
}
