//! How rows and their scores become tensors.

use pulse_core::Matrix;
use pulse_core::ports::Scores;
use serde_json::{Map, Value, json};

use super::error::OipError;
use super::request::{Request, Wanted};
use super::response::Response;
use super::tensor::{Tensor, Values};

/// The input: one row for each event, one value for each column. A missing value is `NaN`, or `null` in JSON.
pub const INPUT: &str = "rows";
/// The score of each row.
pub const SCORE: &str = "score";
/// The indices of the rows whose score reached the threshold, in rising order.
pub const EXPLAINED: &str = "explained";
/// For each row that [`EXPLAINED`] names, the share of each column in how unusual it is.
pub const CONTRIBUTIONS: &str = "contributions";
/// All outputs.
pub const OUTPUTS: [&str; 3] = [SCORE, EXPLAINED, CONTRIBUTIONS];

/// The rows that `request` wants scored, by a model of these columns.
///
/// # Errors
/// When it has other inputs than [`INPUT`], of another shape, or wants outputs that there are none of.
pub fn rows_of(request: Request<'_>, columns: &[String]) -> Result<Matrix, OipError> {
    if let Some(name) = request.wanted.unknown(&OUTPUTS) {
        return Err(contents(format!("there is no output {name:?}; there are: {}", OUTPUTS.join(", "))));
    }
    let [input] = <[Tensor<'_>; 1]>::try_from(request.inputs)
        .map_err(|inputs| contents(format!("there must be one input, {INPUT:?}, not {}", inputs.len())))?;
    if input.name != INPUT {
        return Err(contents(format!("the input must be called {INPUT:?}, not {:?}", input.name)));
    }
    if input.shape.len() != 2 || input.shape[1] != columns.len() {
        let (columns, width) = (columns.join(", "), columns.len());
        let message = format!("the shape of {INPUT:?} must be [rows, {width}], not {:?}", input.shape);
        return Err(contents(format!("{message}: a row has the columns {columns}")));
    }
    let mut rows = Matrix::with_capacity(columns.len(), input.shape[0]);
    let values = input.values.into_f64();
    values.chunks_exact(columns.len().max(1)).for_each(|row| rows.push(row));
    Ok(rows)
}

/// The response that tells `scores` of rows of `columns` columns, with the outputs that are wanted.
#[must_use]
pub fn response_of(
    scores: Scores,
    use_case: &str,
    columns: usize,
    id: Option<String>,
    wanted: &Wanted,
) -> Response<'static> {
    let Scores { model_version, threshold, highest, scores, contributions } = scores;
    let (rows, explained) = (scores.len(), contributions.len());
    let (indices, shares): (Vec<usize>, Vec<Vec<f64>>) = contributions.into_iter().unzip();
    let indices = indices.into_iter().map(|row| i64::try_from(row).unwrap_or(i64::MAX));
    let outputs = [
        (SCORE, vec![rows], Values::Fp64(scores.into())),
        (EXPLAINED, vec![explained], Values::Int64(indices.collect())),
        (CONTRIBUTIONS, vec![explained, columns], Values::Fp64(shares.concat().into())),
    ];
    let outputs = outputs.into_iter().filter(|(name, ..)| wanted.form_of(name).is_some());
    Response {
        model_name: use_case.to_owned(),
        model_version: Some(model_version.to_string()),
        id,
        parameters: Map::from_iter([
            ("threshold".to_owned(), json!(threshold)),
            ("highest".to_owned(), json!(highest)),
        ]),
        outputs: outputs.map(|(name, shape, values)| Tensor { name: name.to_owned(), shape, values }).collect(),
    }
}

/// The scores that `response` tells, of `rows` rows of `columns` columns by the version `version`.
///
/// # Errors
/// When it is no answer to such a request.
pub fn scores_of(response: Response<'_>, version: &str, rows: usize, columns: usize) -> Result<Scores, OipError> {
    let Response { model_version, parameters, mut outputs, .. } = response;
    if let Some(other) = model_version.filter(|answered| answered != version) {
        return Err(contents(format!("version {other:?} answered instead of {version:?}")));
    }
    let mut take = |name: &str, shape: &[usize]| {
        let index = outputs.iter().position(|output| output.name == name);
        let output = outputs.swap_remove(index.ok_or_else(|| contents(format!("the output {name:?} is missing")))?);
        if output.shape == shape {
            return Ok(output.values);
        }
        Err(contents(format!("the shape of {name:?} must be {shape:?}, not {:?}", output.shape)))
    };
    let number = |name: &str| {
        let value = parameters.get(name).and_then(Value::as_f64);
        value.ok_or_else(|| contents(format!("the parameter {name:?} must be a number")))
    };
    let (threshold, highest) = (number("threshold")?, number("highest")?);
    let scores = match take(SCORE, &[rows])? {
        Values::Fp64(scores) => scores.into_owned(),
        other => return Err(contents(format!("{SCORE:?} must be FP64, not {}", other.datatype().as_str()))),
    };
    if scores.iter().any(|score| !score.is_finite()) {
        return Err(contents(format!("{SCORE:?} must be numbers, all of them")));
    }
    let reached = scores.iter().enumerate().filter(|(_, score)| **score >= threshold).map(|(row, _)| row);
    let reached: Vec<usize> = reached.collect();
    let told = match take(EXPLAINED, &[reached.len()])? {
        Values::Int64(rows) => rows.into_owned(),
        other => return Err(contents(format!("{EXPLAINED:?} must be INT64, not {}", other.datatype().as_str()))),
    };
    if !told.iter().map(|&row| usize::try_from(row).ok()).eq(reached.iter().copied().map(Some)) {
        return Err(contents(format!("{EXPLAINED:?} must name the rows that reach the threshold, in rising order")));
    }
    let shares = take(CONTRIBUTIONS, &[reached.len(), columns])?.into_f64();
    if shares.iter().any(|share| !share.is_finite()) {
        return Err(contents(format!("{CONTRIBUTIONS:?} must be numbers, all of them")));
    }
    let contributions = reached.into_iter().zip(shares.chunks_exact(columns.max(1)).map(<[f64]>::to_vec)).collect();
    Ok(Scores { model_version: version.into(), threshold, highest, scores, contributions })
}

fn contents(message: String) -> OipError {
    OipError::Contents(message)
}
