//! What a server says of a model.

use serde::{Deserialize, Serialize};

use super::scores::{CONTRIBUTIONS, EXPLAINED, INPUT, SCORE};
use super::tensor::Datatype;
use crate::model::Model;

/// What a server says of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelMetadata {
    /// Its name: the use case.
    pub name: String,
    /// Its versions that are served.
    pub versions: Vec<String>,
    /// What kind of model it is.
    pub platform: String,
    /// What it takes.
    pub inputs: Vec<TensorMetadata>,
    /// What it answers.
    pub outputs: Vec<TensorMetadata>,
    /// What a scorer has to know beyond the protocol.
    pub parameters: ModelParameters,
}

/// What a server says of a tensor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TensorMetadata {
    /// Its name.
    pub name: String,
    /// The type of its values.
    pub datatype: String,
    /// Its dimensions; -1 is any number.
    pub shape: Vec<i64>,
}

/// What a scorer has to know of a model beyond the protocol.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelParameters {
    /// The columns of a row, in their order.
    pub columns: Vec<String>,
    /// The version in force.
    pub version: String,
    /// The score from which a row is an anomaly.
    pub threshold: f64,
    /// The highest score of the rows that it was trained on.
    pub highest: f64,
    /// Rows of a request at the most; none where there is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_rows: Option<usize>,
}

impl ModelMetadata {
    /// That of `model` as the model of `use_case`, at a server that takes `max_rows` rows at once.
    #[must_use]
    pub fn of(use_case: &str, model: &Model, max_rows: usize) -> Self {
        let columns = model.columns();
        let width = i64::try_from(columns.len()).unwrap_or(i64::MAX);
        let tensor = |name: &str, datatype: Datatype, shape: Vec<i64>| TensorMetadata {
            name: name.to_owned(),
            datatype: datatype.as_str().to_owned(),
            shape,
        };
        Self {
            name: use_case.to_owned(),
            versions: vec![model.version().to_string()],
            platform: "stream_pulse_isolation_forest".to_owned(),
            inputs: vec![tensor(INPUT, Datatype::Fp64, vec![-1, width])],
            outputs: vec![
                tensor(SCORE, Datatype::Fp64, vec![-1]),
                tensor(EXPLAINED, Datatype::Int64, vec![-1]),
                tensor(CONTRIBUTIONS, Datatype::Fp64, vec![-1, width]),
            ],
            parameters: ModelParameters {
                columns: columns.to_vec(),
                version: model.version().to_string(),
                threshold: model.threshold(),
                highest: model.highest(),
                max_rows: Some(max_rows),
            },
        }
    }
}

/// Why a model is not ready. The protocol has no word for it: it stands beside `error`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Absence {
    /// One is being trained: ask again later.
    WarmingUp,
    /// There is none to wait for.
    NoModel,
}

/// The body of an answer that is an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What is wrong, and the mend.
    pub error: String,
    /// Where there is no model: whether one will come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Absence>,
}
