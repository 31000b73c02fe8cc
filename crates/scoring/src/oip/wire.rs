//! From tensors to a message, and back.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::element::flatten;
use super::error::OipError;
use super::tensor::{Datatype, Form, Tensor, Values};

/// Dimensions that a tensor may have at the most: rows and columns, and some more for whoever has them of size 1.
const MAX_DIMENSIONS: usize = 8;

/// A message, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What the header [`HEADER_LENGTH`](super::HEADER_LENGTH) says; none where there is nothing but JSON.
    pub header_length: Option<usize>,
    /// The JSON, and behind it the bytes of its tensors.
    pub body: Vec<u8>,
}

/// The number that the header [`HEADER_LENGTH`](super::HEADER_LENGTH) has as its value.
///
/// # Errors
/// When it is none.
pub fn header_length(value: &[u8]) -> Result<usize, OipError> {
    let text = String::from_utf8_lossy(value);
    text.trim().parse().map_err(|_| OipError::HeaderLength(text.chars().take(40).collect()))
}

/// The JSON of a message, and the bytes behind it.
pub(super) fn split(body: &[u8], header_length: Option<usize>) -> Result<(&[u8], &[u8]), OipError> {
    let Some(announced) = header_length else { return Ok((body, &[])) };
    body.split_at_checked(announced).ok_or(OipError::TooShort { announced, body: body.len() })
}

/// A tensor as the JSON has it.
#[derive(Debug, Deserialize)]
pub(super) struct RawTensor<'a> {
    name: String,
    shape: Vec<u64>,
    datatype: String,
    #[serde(default)]
    parameters: RawParameters,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
struct RawParameters {
    #[serde(default)]
    binary_data_size: Option<u64>,
}

/// The tensors that `raw` describes; `binary` are the bytes behind the JSON, all of which must belong to one.
pub(super) fn read<'a>(raw: Vec<RawTensor<'_>>, mut binary: &[u8]) -> Result<Vec<Tensor<'a>>, OipError> {
    let mut names = HashSet::new();
    let mut tensors = Vec::with_capacity(raw.len());
    for raw in raw {
        if !names.insert(raw.name.clone()) {
            return Err(OipError::Repeated(raw.name));
        }
        tensors.push(read_one(raw, &mut binary)?);
    }
    if binary.is_empty() { Ok(tensors) } else { Err(OipError::Trailing(binary.len())) }
}

fn read_one<'a>(raw: RawTensor<'_>, binary: &mut &[u8]) -> Result<Tensor<'a>, OipError> {
    let RawTensor { name, shape, datatype, parameters, data } = raw;
    let Some(datatype) = Datatype::from_name(&datatype) else {
        return Err(OipError::Datatype { tensor: name, datatype });
    };
    if shape.len() > MAX_DIMENSIONS {
        return Err(OipError::Dimensions { tensor: name, found: shape.len(), most: MAX_DIMENSIONS });
    }
    let Some((dimensions, expected)) = size(&shape, datatype) else {
        return Err(OipError::Shape { tensor: name, shape });
    };
    let values = match (data, parameters.binary_data_size) {
        (Some(data), None) => read_json(datatype, data, &dimensions).map_err(|source| OipError::Data {
            tensor: name.clone(),
            shape: dimensions.clone(),
            datatype: datatype.as_str(),
            source,
        })?,
        (None, Some(announced)) if usize::try_from(announced).ok() != Some(expected) => {
            return Err(OipError::Bytes {
                tensor: name,
                shape: dimensions,
                datatype: datatype.as_str(),
                expected,
                announced,
            });
        }
        (None, Some(_)) => {
            let Some((bytes, rest)) = binary.split_at_checked(expected) else {
                return Err(OipError::Truncated { tensor: name, wanted: expected, left: binary.len() });
            };
            *binary = rest;
            Values::read(datatype, bytes)
        }
        (Some(_), Some(_)) | (None, None) => return Err(OipError::OneForm(name)),
    };
    Ok(Tensor { name, shape: dimensions, values })
}

/// The dimensions, and the bytes that values of this type take in them; none where that is more than memory can have.
fn size(shape: &[u64], datatype: Datatype) -> Option<(Vec<usize>, usize)> {
    let dimensions = shape.iter().map(|&dimension| usize::try_from(dimension).ok()).collect::<Option<Vec<_>>>()?;
    // A zero must not hide that the others overflow: nested data is counted by part of them.
    let nonzero = dimensions.iter().try_fold(datatype.bytes(), |bytes, &dimension| bytes.checked_mul(dimension.max(1)));
    let bytes = if dimensions.contains(&0) { 0 } else { nonzero? };
    nonzero.is_some_and(|bytes| isize::try_from(bytes).is_ok()).then_some((dimensions, bytes))
}

fn read_json<'a>(datatype: Datatype, data: &RawValue, shape: &[usize]) -> Result<Values<'a>, serde_json::Error> {
    Ok(match datatype {
        Datatype::Fp64 => Values::Fp64(flatten(data, shape)?.into()),
        Datatype::Fp32 => Values::Fp32(flatten(data, shape)?.into()),
        Datatype::Int64 => Values::Int64(flatten(data, shape)?.into()),
        Datatype::Int32 => Values::Int32(flatten(data, shape)?.into()),
    })
}

/// A tensor as the JSON has it.
#[derive(Debug, Serialize)]
pub(super) struct WrittenTensor<'a> {
    name: &'a str,
    shape: &'a [usize],
    datatype: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<WrittenParameters>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Numbers<'a>>,
}

#[derive(Debug, Serialize)]
struct WrittenParameters {
    binary_data_size: usize,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Numbers<'a> {
    Fp64(&'a [f64]),
    Fp32(&'a [f32]),
    Int64(&'a [i64]),
    Int32(&'a [i32]),
}

/// Writes the message around `tensors`: `json` makes it of what they are there.
pub(super) fn write<'t, J: Serialize>(
    tensors: impl IntoIterator<Item = (&'t Tensor<'t>, Form)>,
    json: impl FnOnce(Vec<WrittenTensor<'t>>) -> J,
) -> Message {
    let (mut binary, mut any_binary) = (Vec::new(), false);
    let written = tensors.into_iter().map(|(tensor, form)| {
        let before = binary.len();
        let (mut parameters, mut data) = (None, None);
        match form {
            Form::Binary => {
                any_binary = true;
                tensor.values.write(&mut binary);
                parameters = Some(WrittenParameters { binary_data_size: binary.len() - before });
            }
            Form::Json => data = Some(numbers(&tensor.values)),
        }
        let datatype = tensor.values.datatype().as_str();
        WrittenTensor { name: &tensor.name, shape: &tensor.shape, datatype, parameters, data }
    });
    let json = json(written.collect());
    // Text, numbers and lists of them: nothing that JSON could not have.
    let mut body = serde_json::to_vec(&json).unwrap_or_default();
    let header_length = any_binary.then_some(body.len());
    body.append(&mut binary);
    Message { header_length, body }
}

fn numbers<'a>(values: &'a Values<'a>) -> Numbers<'a> {
    match values {
        Values::Fp64(values) => Numbers::Fp64(values),
        Values::Fp32(values) => Numbers::Fp32(values),
        Values::Int64(values) => Numbers::Int64(values),
        Values::Int32(values) => Numbers::Int32(values),
    }
}
