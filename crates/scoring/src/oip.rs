//! The Open Inference Protocol, version 2, with its extension for binary tensors: what scorers over HTTP speak.
//!
//! A message is JSON. Of a tensor, either the JSON has the values, nested or in one row, or it has the number of bytes that
//! they take behind the JSON, little endian and in the order of the tensors. The header [`HEADER_LENGTH`] then says where the
//! JSON ends.
//!
//! # Invariants
//! - Pure: no I/O. What comes from outside is an [`OipError`] at worst, never a panic.
//! - A size that a message claims is compared with the bytes that are there before anything is allocated for it.
//! - Binary values keep every bit, that of a `NaN` included. In JSON, `null` is a missing number.
//!
//! The protocol is described at <https://github.com/kserve/open-inference-protocol>, the extension at
//! <https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md>.

mod error;

mod element;
mod tensor;
mod wire;

mod request;
mod response;

mod metadata;
mod scores;

pub use error::OipError;
pub use metadata::{Absence, ErrorBody, ModelMetadata, ModelParameters, TensorMetadata};
pub use request::{Request, Wanted};
pub use response::Response;
pub use scores::{CONTRIBUTIONS, EXPLAINED, INPUT, OUTPUTS, SCORE, response_of, rows_of, scores_of};
pub use tensor::{Datatype, Form, Tensor, Values};
pub use wire::{Message, header_length};

/// The HTTP header with the number of bytes of a message's JSON. Without it, the message is JSON alone.
pub const HEADER_LENGTH: &str = "inference-header-content-length";

#[cfg(test)]
mod tests;
