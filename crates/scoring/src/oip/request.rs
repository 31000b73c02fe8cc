//! A request for inference.

use serde::{Deserialize, Serialize};

use super::error::OipError;
use super::tensor::{Form, Tensor};
use super::wire::{self, Message, RawTensor, WrittenTensor};

/// A request for inference.
#[derive(Debug, Clone, PartialEq)]
pub struct Request<'a> {
    /// A name that the response repeats.
    pub id: Option<String>,
    /// What to infer from.
    pub inputs: Vec<Tensor<'a>>,
    /// What to answer.
    pub wanted: Wanted,
}

/// The outputs that a request wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// All that the model has, in this form.
    All(Form),
    /// These, each in its form.
    These(Vec<(String, Form)>),
}

impl Wanted {
    /// The form in which the output `name` is wanted; none where it is not.
    #[must_use]
    pub fn form_of(&self, name: &str) -> Option<Form> {
        match self {
            Self::All(form) => Some(*form),
            Self::These(outputs) => outputs.iter().find(|(wanted, _)| wanted == name).map(|(_, form)| *form),
        }
    }

    /// The first output wanted that is none of `known`.
    #[must_use]
    pub fn unknown(&self, known: &[&str]) -> Option<&str> {
        let Self::These(outputs) = self else { return None };
        outputs.iter().map(|(name, _)| name.as_str()).find(|name| !known.contains(name))
    }
}

#[derive(Deserialize)]
struct RawRequest<'a> {
    #[serde(default)]
    id: Option<String>,
    #[serde(borrow)]
    inputs: Vec<RawTensor<'a>>,
    #[serde(default)]
    outputs: Option<Vec<RawOutput>>,
    #[serde(default)]
    parameters: Option<RequestParameters>,
}

#[derive(Deserialize)]
struct RawOutput {
    name: String,
    #[serde(default)]
    parameters: Option<OutputParameters>,
}

#[derive(Serialize, Deserialize)]
struct OutputParameters {
    #[serde(default)]
    binary_data: Option<bool>,
}

#[derive(Serialize, Deserialize)]
struct RequestParameters {
    #[serde(default)]
    binary_data_output: Option<bool>,
}

#[derive(Serialize)]
struct WrittenRequest<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    inputs: Vec<WrittenTensor<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outputs: Option<Vec<WrittenOutput<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<RequestParameters>,
}

#[derive(Serialize)]
struct WrittenOutput<'a> {
    name: &'a str,
    parameters: OutputParameters,
}

impl<'a> WrittenOutput<'a> {
    fn new((name, form): &'a (String, Form)) -> Self {
        Self { name, parameters: OutputParameters { binary_data: Some(is_binary(*form)) } }
    }
}

impl Request<'_> {
    /// The message, with all inputs in `form`.
    #[must_use]
    pub fn encode(&self, form: Form) -> Message {
        let (mut outputs, mut parameters) = (None, None);
        match &self.wanted {
            Wanted::All(form) => parameters = Some(RequestParameters { binary_data_output: Some(is_binary(*form)) }),
            Wanted::These(wanted) => outputs = Some(wanted.iter().map(WrittenOutput::new).collect()),
        }
        let id = self.id.as_deref();
        let inputs = self.inputs.iter().map(|input| (input, form));
        wire::write(inputs, |inputs| WrittenRequest { id, inputs, outputs, parameters })
    }

    /// Reads a message. `header_length` is what its header says, where it has one.
    ///
    /// # Errors
    /// When it is no request, or its sizes are not those of its values.
    pub fn decode(body: &[u8], header_length: Option<usize>) -> Result<Request<'static>, OipError> {
        let (json, binary) = wire::split(body, header_length)?;
        let raw: RawRequest<'_> = serde_json::from_slice(json).map_err(OipError::Json)?;
        let default = raw.parameters.and_then(|parameters| parameters.binary_data_output);
        let form = |binary: Option<bool>| {
            if binary.or(default).unwrap_or(false) { Form::Binary } else { Form::Json }
        };
        let wanted = match raw.outputs.filter(|outputs| !outputs.is_empty()) {
            None => Wanted::All(form(None)),
            Some(outputs) => Wanted::These(
                outputs
                    .into_iter()
                    .map(|output| (output.name, form(output.parameters.and_then(|parameters| parameters.binary_data))))
                    .collect(),
            ),
        };
        Ok(Request { id: raw.id, inputs: wire::read(raw.inputs, binary)?, wanted })
    }
}

fn is_binary(form: Form) -> bool {
    form == Form::Binary
}
