//! The scorer port, answered by a server of the Open Inference Protocol: our ML service, or another in its place.
//!
//! One name may stand for many addresses. `docs/specs/scorer.md` says what is done about each way in which they can fail.

mod circuit;
mod error;
mod http;
mod metrics;
mod resolve;

mod pool;

mod ask;
mod connect;

mod eventual;
mod keep;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use pulse_core::Matrix;
use pulse_core::ports::{Scorer, Scores};
use tokio::time::Instant;

use crate::oip::{Form, INPUT, Request, Response, Tensor, Values, Wanted, scores_of};
use ask::{Failed, Gone};
use connect::{Found, FoundModel, Sought};
pub use error::RemoteError;
pub use eventual::{EventualScorer, WithoutModel};
use http::{Question, Server};
use keep::Keeper;
pub use metrics::RemoteMetrics;
use pool::Pool;
use resolve::SystemResolver;
pub use resolve::{Resolve, Resolving};

/// Times that a call goes after a model that is replaced under its hands.
const REPINS: usize = 3;
/// Room in an answer for its JSON, in bytes.
const JSON_ROOM: usize = 64 << 10;
/// Bytes that a number takes in an answer at the most: as text, for servers that have no binary form.
const NUMBER_BYTES: usize = 32;
/// How much longer an address is waited for, for each row that it is to score: many times what one takes.
const ROW_TIME: Duration = Duration::from_micros(100);

/// How a remote scorer works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteOptions {
    /// Time to open a connection, to look up a name, and for an address to say which model it has and whether it is ready.
    pub connect_time: Duration,
    /// Time that an address has to answer before another one is asked, where another one works; more for many rows.
    pub attempt_time: Duration,
    /// Time from a request to the last byte of its answer, whichever addresses it takes.
    pub request_time: Duration,
    /// Rows of a request at the most; the server may allow fewer.
    pub max_rows: usize,
    /// Time between two lookups of the addresses.
    pub resolve_every: Duration,
    /// How long an address that fails is left at first. Each time that it fails again doubles that; half of it is chance.
    pub first_pause: Duration,
    /// How long an address is left at the most.
    pub longest_pause: Duration,
    /// Time that a version is waited for, once all addresses that answer have another one, but some do not answer.
    pub version_time: Duration,
}

impl Default for RemoteOptions {
    fn default() -> Self {
        Self {
            connect_time: Duration::from_secs(2),
            attempt_time: Duration::from_secs(2),
            request_time: Duration::from_secs(10),
            max_rows: 8192,
            resolve_every: Duration::from_secs(5),
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(5),
            version_time: Duration::from_secs(10),
        }
    }
}

/// An ML service: where it is, and how it is asked.
#[derive(Debug)]
pub struct RemoteServer {
    server: Server,
    options: RemoteOptions,
    resolver: Arc<dyn Resolve>,
    metrics: Option<RemoteMetrics>,
}

impl RemoteServer {
    /// The server at `url`, as in `http://localhost:8000`.
    ///
    /// # Errors
    /// When the URL is none that can be asked.
    pub fn new(url: &str, options: RemoteOptions) -> Result<Self, RemoteError> {
        Ok(Self { server: Server::new(url)?, options, resolver: Arc::new(SystemResolver), metrics: None })
    }

    /// Finds its addresses by `resolver` rather than by the operating system.
    #[must_use]
    pub fn resolved_by(self, resolver: impl Resolve) -> Self {
        Self { resolver: Arc::new(resolver), ..self }
    }

    /// Counts what becomes of requests.
    #[must_use]
    pub fn measured_by(self, metrics: RemoteMetrics) -> Self {
        Self { metrics: Some(metrics), ..self }
    }

    /// Waits until there is a model of `use_case`, as [`RemoteScorer::connect`] does.
    ///
    /// # Errors
    /// When waiting is pointless: no address knows the use case or speaks the protocol.
    pub async fn scorer(
        self,
        use_case: &str,
        waiting: impl FnMut(&str) + Send,
    ) -> Result<Option<RemoteScorer>, RemoteError> {
        let pool = self.pool();
        let found = connect::wait(&pool, use_case, waiting).await?;
        Ok(found.map(|model| RemoteScorer::of(pool, use_case, model)))
    }

    /// As [`scorer`](Self::scorer), but a model that is not coming now may come later, and is taken up then, as long as it
    /// wants `columns`. Until then rows are treated as `without` says.
    ///
    /// # Errors
    /// When waiting is pointless: no address knows the use case or speaks the protocol.
    pub async fn eventual_scorer(
        self,
        use_case: &str,
        columns: Vec<String>,
        without: WithoutModel,
        waiting: impl FnMut(&str) + Send,
    ) -> Result<EventualScorer, RemoteError> {
        let pool = self.pool();
        Ok(match connect::wait(&pool, use_case, waiting).await? {
            Some(model) => EventualScorer::found(RemoteScorer::of(pool, use_case, model)),
            None => EventualScorer::looking(pool, use_case, columns, without),
        })
    }

    fn pool(self) -> Pool {
        let Self { server, options, resolver, metrics } = self;
        Pool::new(server, options, resolver, metrics)
    }
}

/// Scores with a model behind HTTP. Calls may run at the same time, each over a connection of its own that is kept open.
///
/// A call is answered by one version of the model, whichever address answers. When that version is gone from all of them, the
/// scorer goes on with the one in force there, as long as it wants the same columns.
#[derive(Debug)]
pub struct RemoteScorer {
    shared: Arc<Shared>,
    _keeper: Keeper,
}

#[derive(Debug)]
struct Shared {
    pool: Pool,
    use_case: String,
    columns: Vec<String>,
    pinned: RwLock<Arc<Pinned>>,
}

/// The version that is asked for.
#[derive(Debug)]
struct Pinned {
    version: String,
    max_rows: usize,
    since: Instant,
    /// Milliseconds from `since` to its last scores.
    scored_ms: AtomicU64,
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
        RemoteServer::new(url, options)?.scorer(use_case, waiting).await
    }

    /// A scorer by `model`, which was found in `pool`.
    fn of(pool: Pool, use_case: &str, model: FoundModel) -> Self {
        let (pinned, columns) = Pinned::of(model, pool.options);
        let (version, url) = (&pinned.version, pool.server.base());
        tracing::info!(use_case, version, url, "scoring with the model of the ml service");
        pool.show_model();
        let pinned = RwLock::new(Arc::new(pinned));
        let shared = Arc::new(Shared { pool, use_case: use_case.to_owned(), columns, pinned });
        let keeper = Keeper::start(Arc::clone(&shared));
        Self { shared, _keeper: keeper }
    }

    /// The version in use at present.
    #[must_use]
    pub fn version(&self) -> String {
        self.shared.pinned().version.clone()
    }
}

impl Pinned {
    /// `model`, and its columns.
    fn of(model: FoundModel, options: RemoteOptions) -> (Self, Vec<String>) {
        let FoundModel { version, columns, max_rows } = model;
        let max_rows = max_rows.min(options.max_rows).max(1);
        (Self { version, max_rows, since: Instant::now(), scored_ms: AtomicU64::new(0) }, columns)
    }

    fn scored(&self) {
        let ms = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.scored_ms.fetch_max(ms, Ordering::Relaxed);
    }

    /// How long nobody has scored by this version.
    fn silent(&self) -> Duration {
        self.since.elapsed().saturating_sub(Duration::from_millis(self.scored_ms.load(Ordering::Relaxed)))
    }
}

impl Shared {
    fn pinned(&self) -> Arc<Pinned> {
        Arc::clone(&self.pinned.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether to go on with another version: this one is gone from everywhere, or from all that have answered for a long time.
    fn is_over(&self, pinned: &Pinned, gone: Gone) -> bool {
        match gone {
            Gone::Nobody => false,
            Gone::Some => pinned.silent() >= self.pool.options.version_time,
            Gone::All => true,
        }
    }

    /// Asks which version is in force, once `gone` is not.
    async fn repin(&self, gone: &Pinned) -> Result<(), RemoteError> {
        let sought = Sought { version: &gone.version, columns: &self.columns };
        let model = match connect::find(&self.pool, &self.use_case, Some(sought)).await? {
            Found::Model(model) => model,
            // It had a model before, so that this is not for ever.
            Found::Never(reason) => {
                return Err(RemoteError::NoModel { url: self.pool.server.base().to_owned(), reason });
            }
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
            let (use_case, before, now) = (&self.use_case, &gone.version, &model.version);
            tracing::info!(use_case, before, now, "another model is in force");
            *pinned = Arc::new(Pinned::of(model, self.pool.options).0);
        }
        Ok(())
    }

    /// Scores all rows by one version, in as many requests as it takes.
    async fn score_by(&self, pinned: &Pinned, rows: &Matrix) -> Result<Scores, Failed> {
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
        pinned.scored();
        Ok(scores)
    }

    async fn infer(&self, pinned: &Pinned, values: &[f64]) -> Result<Scores, Failed> {
        let width = self.columns.len();
        let rows = values.len() / width;
        let input = Tensor { name: INPUT.to_owned(), shape: vec![rows, width], values: Values::Fp64(values.into()) };
        let request = Request { id: None, inputs: vec![input], wanted: Wanted::All(Form::Binary) };
        let path = format!("/v2/models/{}/versions/{}/infer", self.use_case, pinned.version);
        let limit = JSON_ROOM + rows * (width + 2) * NUMBER_BYTES;
        let question = Question::post(path, request.encode(Form::Binary), limit);
        let patience = self.pool.options.attempt_time + ROW_TIME * u32::try_from(rows).unwrap_or(u32::MAX);
        let read = |answer: http::Answer| {
            let answer = answer.accepted()?;
            Response::decode(&answer.body, answer.header_length)
                .and_then(|response| scores_of(response, &pinned.version, rows, width))
                .map_err(|source| RemoteError::Nonsense { url: answer.url, source })
        };
        self.pool.ask(&question, patience, read).await
    }
}

impl Scorer for RemoteScorer {
    type Error = RemoteError;

    fn columns(&self) -> &[String] {
        &self.shared.columns
    }

    async fn score(&self, rows: &Matrix) -> Result<Scores, RemoteError> {
        let shared = &*self.shared;
        if rows.width() != shared.columns.len() {
            return Err(RemoteError::Width { rows: rows.width(), columns: shared.columns.len() });
        }
        let mut pinned = shared.pinned();
        for _ in 0..REPINS {
            let failed = match shared.score_by(&pinned, rows).await {
                Ok(scores) => return Ok(scores),
                Err(failed) => failed,
            };
            // Unless another call has found another version meanwhile.
            if Arc::ptr_eq(&pinned, &shared.pinned()) {
                if !shared.is_over(&pinned, failed.gone) {
                    return Err(failed.error);
                }
                shared.repin(&pinned).await?;
            }
            pinned = shared.pinned();
        }
        Err(RemoteError::Unsettled { url: shared.pool.server.base().to_owned(), version: pinned.version.clone() })
    }
}
