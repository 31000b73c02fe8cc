//! Values of tensors: in bytes, and in JSON.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// A value of a tensor.
pub(super) trait Element: Copy {
    /// Its values from the bytes of a tensor, little endian.
    fn read(bytes: &[u8]) -> Vec<Self>;
    /// Appends `values`, little endian.
    fn write(values: &[Self], out: &mut Vec<u8>);
    /// A whole number of JSON; none where it does not fit.
    fn from_integer(number: i128) -> Option<Self>;
    /// Any other number of JSON; none where it does not fit.
    fn from_float(number: f64) -> Option<Self>;
    /// A missing number; none where there is no such thing.
    fn missing() -> Option<Self>;
}

macro_rules! element {
    ($type:ty, $integer:expr, $float:expr, $missing:expr) => {
        impl Element for $type {
            fn read(bytes: &[u8]) -> Vec<Self> {
                bytes.as_chunks().0.iter().map(|&chunk| Self::from_le_bytes(chunk)).collect()
            }

            fn write(values: &[Self], out: &mut Vec<u8>) {
                out.reserve(size_of_val(values));
                values.iter().for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
            }

            fn from_integer(number: i128) -> Option<Self> {
                $integer(number)
            }

            fn from_float(number: f64) -> Option<Self> {
                $float(number)
            }

            fn missing() -> Option<Self> {
                $missing
            }
        }
    };
}

element!(f64, |number| Some(number as f64), Some, Some(f64::NAN));
element!(f32, |number| Some(number as f32), |number| Some(number as f32), Some(f32::NAN));
element!(i64, |number| i64::try_from(number).ok(), |_| None, None);
element!(i32, |number| i32::try_from(number).ok(), |_| None, None);

/// The values in `data`, an array of the dimensions of `shape` or of all values in one row.
pub(super) fn flatten<T: Element>(data: &RawValue, shape: &[usize]) -> Result<Vec<T>, serde_json::Error> {
    let mut values = Vec::new();
    let mut json = serde_json::Deserializer::from_str(data.get());
    json.deserialize_seq(Level { shape, outermost: true, values: &mut values })?;
    Ok(values)
}

/// One level of brackets: of what is within it, `shape` is left.
struct Level<'a, T> {
    shape: &'a [usize],
    outermost: bool,
    values: &'a mut Vec<T>,
}

impl<'de, T: Element> Visitor<'de> for Level<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of numbers, nested as the shape says or flat")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let (own, inner) = self.shape.split_first().map_or((1, self.shape), |(&own, inner)| (own, inner));
        // All dimensions are known to multiply without overflow.
        let flat = self.shape.iter().product();
        let (mut scalars, mut nested) = (0, 0);
        loop {
            let item = Item { inner, values: &mut *self.values };
            match items.next_element_seed(item)? {
                None => break,
                Some(Found::Scalar) => scalars += 1,
                Some(Found::Nested) => nested += 1,
            }
            let most = if nested > 0 { own } else { flat };
            if scalars + nested > most {
                return Err(Error::custom("there are more values than the shape says"));
            }
        }
        let nested_right = scalars == 0 && nested == own && !inner.is_empty();
        let flat_right = nested == 0 && scalars == flat && (self.outermost || inner.is_empty());
        if nested_right || flat_right {
            Ok(())
        } else {
            Err(Error::custom("the values are not nested as the shape says"))
        }
    }
}

enum Found {
    Scalar,
    Nested,
}

/// What stands between two commas: a number, or a level.
struct Item<'a, T> {
    inner: &'a [usize],
    values: &'a mut Vec<T>,
}

impl<T: Element> Item<'_, T> {
    fn push<E: Error>(self, value: Option<T>) -> Result<Found, E> {
        self.values.push(value.ok_or_else(|| E::custom("a number does not fit the datatype"))?);
        Ok(Found::Scalar)
    }
}

impl<'de, T: Element> DeserializeSeed<'de> for Item<'_, T> {
    type Value = Found;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Found, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Element> Visitor<'de> for Item<'_, T> {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, or an array of numbers")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Found, E> {
        self.push(T::from_integer(number.into()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Found, E> {
        self.push(T::from_integer(number.into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Found, E> {
        self.push(T::from_float(number))
    }

    fn visit_unit<E: Error>(self) -> Result<Found, E> {
        self.push(T::missing())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Found, A::Error> {
        if self.inner.is_empty() {
            return Err(Error::custom("the values are nested deeper than the shape says"));
        }
        Level { shape: self.inner, outermost: false, values: self.values }.visit_seq(items).map(|()| Found::Nested)
    }
}
