//! The answer to a request for inference.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::error::OipError;
use super::tensor::{Form, Tensor};
use super::wire::{self, Message, RawTensor, WrittenTensor};

/// The answer to a request for inference.
#[derive(Debug, Clone, PartialEq)]
pub struct Response<'a> {
    /// The model that answered.
    pub model_name: String,
    /// Its version; none where the server has none.
    pub model_version: Option<String>,
    /// The name of the request.
    pub id: Option<String>,
    /// What the model says besides.
    pub parameters: Map<String, Value>,
    /// What it inferred.
    pub outputs: Vec<Tensor<'a>>,
}

#[derive(Deserialize)]
struct RawResponse<'a> {
    model_name: String,
    #[serde(default)]
    model_version: Option<String>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    parameters: Map<String, Value>,
    #[serde(borrow)]
    outputs: Vec<RawTensor<'a>>,
}

#[derive(Serialize)]
struct WrittenResponse<'a> {
    model_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    parameters: &'a Map<String, Value>,
    outputs: Vec<WrittenTensor<'a>>,
}

impl Response<'_> {
    /// The message; `form` says where the values of an output stand.
    #[must_use]
    pub fn encode(&self, form: impl Fn(&str) -> Form) -> Message {
        let outputs = self.outputs.iter().map(|output| (output, form(&output.name)));
        wire::write(outputs, |outputs| WrittenResponse {
            model_name: &self.model_name,
            model_version: self.model_version.as_deref(),
            id: self.id.as_deref(),
            parameters: &self.parameters,
            outputs,
        })
    }

    /// Reads a message. `header_length` is what its header says, where it has one.
    ///
    /// # Errors
    /// When it is no response, or its sizes are not those of its values.
    pub fn decode(body: &[u8], header_length: Option<usize>) -> Result<Response<'static>, OipError> {
        let (json, binary) = wire::split(body, header_length)?;
        let raw: RawResponse<'_> = serde_json::from_slice(json).map_err(OipError::Json)?;
        let RawResponse { model_name, model_version, id, parameters, outputs } = raw;
        Ok(Response { model_name, model_version, id, parameters, outputs: wire::read(outputs, binary)? })
    }
}
