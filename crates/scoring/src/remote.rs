//! The scorer port, answered by a server of the Open Inference Protocol: our ML service, or another in its place.

mod connect;
mod error;
mod http;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use pulse_core::Matrix;
use pulse_core::ports::{Scorer, Scores};

use crate::oip::{Form, INPUT, Request, Response, Tensor, Values, Wanted, scores_of};
use connect::Found;
pub use error::RemoteError;
use http::Http;

/// Times that a call goes after a model that is replaced under its hands.
const REPINS: usize = 3;
/// Room in an answer for its JSON, in bytes.
const JSON_ROOM: usize = 64 << 10;
/// Bytes that a number takes in an answer at the most: as text, for servers that have no binary form.
const NUMBER_BYTES: usize = 32;

/// How a remote scorer works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteOptions {
    /// Time to open a connection.
    pub connect_time: Duration,
    /// Time from a request to the last byte of its answer.
    pub request_time: Duration,
    /// Rows of a request at the most; the server may allow fewer.
    pub max_rows: usize,
}

impl Default for RemoteOptions {
    fn default() -> Self {
        Self { connect_time: Duration::from_secs(2), request_time: Duration::from_secs(10), max_rows: 8192 }
    }
}

/// Scores with a model behind HTTP. Calls may run at the same time, each over a connection of its own that is kept open.
///
/// A call is answered by one version of the model. When that version is gone from the server, the scorer goes on with the
/// one in force there, as long as it wants the same columns.
#[derive(Debug)]
pub struct RemoteScorer {
    http: Http,
    use_case: String,
    columns: Vec<String>,
    options: RemoteOptions,
    pinned: RwLock<Arc<Pinned>>,
}

/// The version that is asked for.
#[derive(Debug)]
struct Pinned {
    version: String,
    max_rows: usize,
}

impl RemoteScorer {
    /// Connects to the server at `url`, as in `http://localhost:8000`, and waits until it has a model of `use_case`.
    /// `waiting` is told whenever there is another reason to wait, in words for people. None when the server says that there
    /// is no model and that none is coming.
    ///
    /// # Errors
    /// When waiting is pointless: the URL is none, the server does not know the use case or does not speak the protocol.
    pub async fn connect(
        url: &str,
        use_case: &str,
        options: RemoteOptions,
        waiting: impl FnMut(&str) + Send,
    ) -> Result<Option<Self>, RemoteError> {
        let http = Http::new(url, options)?;
        let Some(model) = connect::wait(&http, use_case, waiting).await? else { return Ok(None) };
        let pinned = Pinned { version: model.version, max_rows: model.max_rows.min(options.max_rows).max(1) };
        tracing::info!(
            use_case,
            version = pinned.version,
            url = http.base(),
            "scoring with the model of the ml service"
        );
        Ok(Some(Self {
            http,
            use_case: use_case.to_owned(),
            columns: model.columns,
            options,
            pinned: RwLock::new(Arc::new(pinned)),
        }))
    }

    /// The version in use at present.
    #[must_use]
    pub fn version(&self) -> String {
        self.pinned().version.clone()
    }

    fn pinned(&self) -> Arc<Pinned> {
        Arc::clone(&self.pinned.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks which version is in force, once `gone` is not.
    async fn repin(&self, gone: &Pinned) -> Result<(), RemoteError> {
        let model = match connect::find(&self.http, &self.use_case).await? {
            Found::Model(model) => model,
            // It had a model before, so that this is not for ever.
            Found::Never(reason) => return Err(RemoteError::NoModel { url: self.http.base().to_owned(), reason }),
        };
        if model.columns != self.columns {
            return Err(RemoteError::OtherColumns {
                version: model.version,
                columns: model.columns,
                before: self.columns.clone(),
            });
        }
        let mut pinned = self.pinned.write().unwrap_or_else(PoisonError::into_inner);
        // Another call may have been faster.
        if pinned.version == gone.version && pinned.version != model.version {
            tracing::info!(
                use_case = self.use_case,
                before = gone.version,
                now = model.version,
                "another model is in force"
            );
            let max_rows = model.max_rows.min(self.options.max_rows).max(1);
            *pinned = Arc::new(Pinned { version: model.version, max_rows });
        }
        Ok(())
    }

    /// Scores all rows by one version, in as many requests as it takes.
    async fn score_by(&self, pinned: &Pinned, rows: &Matrix) -> Result<Scores, RemoteError> {
        let values = rows.as_slice();
        let (first, mut rest) = values.split_at(values.len().min(pinned.max_rows.saturating_mul(rows.width())));
        let mut scores = self.infer(pinned, first).await?;
        while !rest.is_empty() {
            let (part, after) = rest.split_at(rest.len().min(pinned.max_rows.saturating_mul(rows.width())));
            rest = after;
            let before = scores.scores.len();
            let part = self.infer(pinned, part).await?;
            scores.scores.extend(part.scores);
            scores.contributions.extend(part.contributions.into_iter().map(|(row, shares)| (before + row, shares)));
        }
        Ok(scores)
    }

    async fn infer(&self, pinned: &Pinned, values: &[f64]) -> Result<Scores, RemoteError> {
        let width = self.columns.len();
        let rows = values.len() / width;
        let input = Tensor { name: INPUT.to_owned(), shape: vec![rows, width], values: Values::Fp64(values.into()) };
        let request = Request { id: None, inputs: vec![input], wanted: Wanted::All(Form::Binary) };
        let path = format!("/v2/models/{}/versions/{}/infer", self.use_case, pinned.version);
        let limit = JSON_ROOM + rows * (width + 2) * NUMBER_BYTES;
        let answer = self.http.post(&path, request.encode(Form::Binary), limit).await?.accepted()?;
        let scores = Response::decode(&answer.body, answer.header_length)
            .and_then(|response| scores_of(response, &pinned.version, rows, width));
        scores.map_err(|source| RemoteError::Nonsense { url: format!("{}{path}", self.http.base()), source })
    }
}

impl Scorer for RemoteScorer {
    type Error = RemoteError;

    fn columns(&self) -> &[String] {
        &self.columns
    }

    async fn score(&self, rows: &Matrix) -> Result<Scores, RemoteError> {
        if rows.width() != self.columns.len() {
            return Err(RemoteError::Width { rows: rows.width(), columns: self.columns.len() });
        }
        let mut pinned = self.pinned();
        for _ in 0..REPINS {
            match self.score_by(&pinned, rows).await {
                Err(RemoteError::Gone { .. }) => self.repin(&pinned).await?,
                answered => return answered,
            }
            pinned = self.pinned();
        }
        Err(RemoteError::Unsettled { url: self.http.base().to_owned(), version: pinned.version.clone() })
    }
}
