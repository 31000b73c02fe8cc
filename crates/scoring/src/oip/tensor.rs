//! Tensors.

use std::borrow::Cow;

use super::element::Element;

/// The type of a tensor's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Datatype {
    /// `f64`.
    Fp64,
    /// `f32`.
    Fp32,
    /// `i64`.
    Int64,
    /// `i32`.
    Int32,
}

impl Datatype {
    /// Its name in messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fp64 => "FP64",
            Self::Fp32 => "FP32",
            Self::Int64 => "INT64",
            Self::Int32 => "INT32",
        }
    }

    /// The type of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Fp64, Self::Fp32, Self::Int64, Self::Int32].into_iter().find(|datatype| datatype.as_str() == name)
    }

    /// Bytes of a value.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Self::Fp64 | Self::Int64 => 8,
            Self::Fp32 | Self::Int32 => 4,
        }
    }
}

/// The values of a tensor, the last dimension the fastest.
#[derive(Debug, Clone, PartialEq)]
pub enum Values<'a> {
    /// `f64`.
    Fp64(Cow<'a, [f64]>),
    /// `f32`.
    Fp32(Cow<'a, [f32]>),
    /// `i64`.
    Int64(Cow<'a, [i64]>),
    /// `i32`.
    Int32(Cow<'a, [i32]>),
}

impl Values<'_> {
    /// Their type.
    #[must_use]
    pub fn datatype(&self) -> Datatype {
        match self {
            Self::Fp64(_) => Datatype::Fp64,
            Self::Fp32(_) => Datatype::Fp32,
            Self::Int64(_) => Datatype::Int64,
            Self::Int32(_) => Datatype::Int32,
        }
    }

    /// Number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Fp64(values) => values.len(),
            Self::Fp32(values) => values.len(),
            Self::Int64(values) => values.len(),
            Self::Int32(values) => values.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values as `f64`; those that it cannot tell apart become the nearest.
    #[must_use]
    pub fn into_f64(self) -> Vec<f64> {
        match self {
            Self::Fp64(values) => values.into_owned(),
            Self::Fp32(values) => values.iter().map(|&value| value.into()).collect(),
            Self::Int64(values) => values.iter().map(|&value| value as f64).collect(),
            Self::Int32(values) => values.iter().map(|&value| value.into()).collect(),
        }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Fp64(values) => Element::write(values, out),
            Self::Fp32(values) => Element::write(values, out),
            Self::Int64(values) => Element::write(values, out),
            Self::Int32(values) => Element::write(values, out),
        }
    }

    pub(super) fn read(datatype: Datatype, bytes: &[u8]) -> Self {
        match datatype {
            Datatype::Fp64 => Self::Fp64(Element::read(bytes).into()),
            Datatype::Fp32 => Self::Fp32(Element::read(bytes).into()),
            Datatype::Int64 => Self::Int64(Element::read(bytes).into()),
            Datatype::Int32 => Self::Int32(Element::read(bytes).into()),
        }
    }
}

/// A tensor: a name, the number of values in each dimension, and the values.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor<'a> {
    /// Its name.
    pub name: String,
    /// The dimensions, whose product is the number of values.
    pub shape: Vec<usize>,
    /// The values.
    pub values: Values<'a>,
}

/// Where a tensor's values stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// In the JSON. What JSON has no number for becomes `null`.
    Json,
    /// Behind it.
    Binary,
}
