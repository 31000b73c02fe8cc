//! Scores for those who derive the columns themselves, such as the stream processor.

use pulse_core::Matrix;
use pulse_scoring::Model;
use pulse_scoring::oip::{Form, Message, OipError, Request, Wanted, response_of, rows_of};

use crate::problem::Problem;
use crate::served::ServedUseCase;
use crate::service::Limits;
use crate::training::chain;

/// Bytes of a request that are set aside for what is not numbers.
const HEAD_BYTES: usize = 4096;

/// What a request wants.
#[derive(Debug)]
pub(crate) struct Inference {
    pub(crate) rows: Matrix,
    id: Option<String>,
    wanted: Wanted,
}

/// What it came to.
#[derive(Debug)]
pub(crate) struct Inferred {
    pub(crate) message: Message,
    pub(crate) anomalies: usize,
}

impl Inference {
    /// Reads a request to `model`.
    pub(crate) fn read(
        body: &[u8],
        header_length: Option<usize>,
        model: &Model,
        limits: Limits,
    ) -> Result<Self, Problem> {
        let mut request = Request::decode(body, header_length).map_err(broken)?;
        let (id, wanted) = (request.id.take(), request.wanted.clone());
        let rows = rows_of(request, model.columns()).map_err(broken)?;
        let (count, limit) = (rows.rows(), max_rows(model.columns().len(), limits));
        if count > limit {
            return Err(Problem::too_large(format!(
                "{count} rows are more than {limit}: send them in several requests"
            )));
        }
        Ok(Self { rows, id, wanted })
    }

    /// Scores the rows with `model`, which it was read for.
    pub(crate) fn run(self, model: &Model, use_case: &ServedUseCase) -> Inferred {
        let scores = use_case.score(model, &self.rows);
        let anomalies = scores.contributions.len();
        let response = response_of(scores, use_case.name(), self.rows.width(), self.id, &self.wanted);
        let message = response.encode(|output| self.wanted.form_of(output).unwrap_or(Form::Json));
        Inferred { message, anomalies }
    }
}

/// Rows that a request may have: as many as the limit on rows allows and, in binary form, the one on bytes.
pub(crate) fn max_rows(columns: usize, limits: Limits) -> usize {
    let by_bytes = limits.body_bytes.saturating_sub(HEAD_BYTES) / (columns.max(1) * size_of::<f64>());
    limits.batch_rows.min(by_bytes).max(1)
}

/// What is wrong with a message, and why.
pub(crate) fn broken(error: OipError) -> Problem {
    Problem::broken_message(chain(&error))
}
