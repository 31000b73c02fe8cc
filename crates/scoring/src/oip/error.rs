//! What can be wrong with a message.

/// What is wrong with a message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OipError {
    /// The length of the JSON is no number.
    #[error("the header Inference-Header-Content-Length is {0:?}, which is no number of bytes")]
    HeaderLength(String),
    /// The JSON is said to be longer than the message.
    #[error("the JSON is said to have {announced} bytes, but the body has {body}")]
    TooShort {
        /// Bytes of the JSON, as announced.
        announced: usize,
        /// Bytes of the body.
        body: usize,
    },
    /// The JSON is no JSON, or no message.
    #[error("the JSON is no message of the Open Inference Protocol")]
    Json(#[source] serde_json::Error),
    /// The values of a tensor in JSON are not those of its shape and type.
    #[error("tensor {tensor:?}: the data does not fit the shape {shape:?} of {datatype}")]
    Data {
        /// The tensor.
        tensor: String,
        /// Its shape.
        shape: Vec<usize>,
        /// Its type.
        datatype: &'static str,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A type of values that no model of ours takes or gives.
    #[error("tensor {tensor:?}: datatype {datatype:?} is none of FP64, FP32, INT64, INT32")]
    Datatype {
        /// The tensor.
        tensor: String,
        /// Its type.
        datatype: String,
    },
    /// More dimensions than any model of ours takes or gives.
    #[error("tensor {tensor:?}: the shape has {found} dimensions, which are more than {most}")]
    Dimensions {
        /// The tensor.
        tensor: String,
        /// Dimensions that it has.
        found: usize,
        /// Dimensions that it may have.
        most: usize,
    },
    /// A shape of more values than there can be.
    #[error("tensor {tensor:?}: the shape {shape:?} has too many values")]
    Shape {
        /// The tensor.
        tensor: String,
        /// Its shape.
        shape: Vec<u64>,
    },
    /// The bytes of a tensor are not those of its shape and type.
    #[error("tensor {tensor:?}: the shape {shape:?} of {datatype} takes {expected} bytes, not {announced}")]
    Bytes {
        /// The tensor.
        tensor: String,
        /// Its shape.
        shape: Vec<usize>,
        /// Its type.
        datatype: &'static str,
        /// Bytes that it takes.
        expected: usize,
        /// Bytes that the message says it has.
        announced: u64,
    },
    /// Fewer bytes are behind the JSON than its tensors take.
    #[error("tensor {tensor:?} takes {wanted} bytes behind the JSON, but {left} are left")]
    Truncated {
        /// The tensor.
        tensor: String,
        /// Bytes that it takes.
        wanted: usize,
        /// Bytes that are left.
        left: usize,
    },
    /// More bytes are behind the JSON than its tensors take.
    #[error("{0} bytes behind the JSON belong to no tensor")]
    Trailing(usize),
    /// A tensor has no values, or has them twice.
    #[error("tensor {0:?} must have either `data` or `parameters.binary_data_size`")]
    OneForm(String),
    /// A tensor is there twice.
    #[error("tensor {0:?} is there twice")]
    Repeated(String),
    /// The tensors are not those that are wanted.
    #[error("{0}")]
    Contents(String),
}
