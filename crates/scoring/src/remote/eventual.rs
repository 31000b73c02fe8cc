//! Scores by a model that may not be there yet: the first one of a use case comes when enough events have.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use pulse_core::Matrix;
use pulse_core::ports::{Scorer, Scores};
use tokio::task::AbortHandle;

use super::RemoteScorer;
use super::connect::{self, Found, FoundModel};
use super::error::RemoteError;
use super::pool::Pool;

/// How often it is looked whether there is a model.
const LOOK: Duration = Duration::from_secs(1);

/// What is done about rows while there is no model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WithoutModel {
    /// They are left unscored, as something else judges them.
    LeaveUnscored,
    /// They wait: scoring fails with [`RemoteError::NoModel`], which may pass.
    Fail,
}

/// As [`RemoteScorer`], but without a model until there is one. Once a call was answered by a model, all later ones are.
#[derive(Debug)]
pub struct EventualScorer {
    columns: Vec<String>,
    without: WithoutModel,
    url: String,
    way: Arc<Way>,
    _looking: Option<Looking>,
}

/// The model, or the way to it.
#[derive(Debug, Default)]
struct Way {
    model: OnceLock<RemoteScorer>,
    /// Why there is none.
    reason: Mutex<String>,
}

/// The search for a model; ends when this is dropped.
#[derive(Debug)]
struct Looking(AbortHandle);

impl Drop for Looking {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl EventualScorer {
    /// One that has its model.
    pub(super) fn found(model: RemoteScorer) -> Self {
        let (columns, url) = (model.columns().to_vec(), model.shared.pool.server.base().to_owned());
        let way = Way { model: OnceLock::from(model), ..Way::default() };
        Self { columns, without: WithoutModel::Fail, url, way: Arc::new(way), _looking: None }
    }

    /// One that looks in `pool` for a model of `columns`.
    pub(super) fn looking(pool: Pool, use_case: &str, columns: Vec<String>, without: WithoutModel) -> Self {
        let (url, way) = (pool.server.base().to_owned(), Arc::new(Way::default()));
        way.say("there was none at the start".to_owned());
        let looking = tokio::spawn(look(pool, use_case.to_owned(), columns.clone(), Arc::clone(&way)));
        Self { columns, without, url, way, _looking: Some(Looking(looking.abort_handle())) }
    }

    /// The version in use at present; none while there is no model.
    #[must_use]
    pub fn version(&self) -> Option<String> {
        self.way.model.get().map(RemoteScorer::version)
    }
}

impl Way {
    /// Takes note of why there is no model. Whether that is another reason than before.
    fn say(&self, reason: String) -> bool {
        let mut before = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = *before != reason;
        *before = reason;
        is_new
    }

    fn reason(&self) -> String {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn look(pool: Pool, use_case: String, columns: Vec<String>, way: Arc<Way>) {
    loop {
        tokio::time::sleep(LOOK).await;
        let error = match connect::look(&pool, &use_case).await {
            Ok(Found::Model(model)) if model.columns == columns => {
                // Nobody else sets it.
                drop(way.model.set(RemoteScorer::of(pool, &use_case, model)));
                return;
            }
            Ok(Found::Model(FoundModel { version, columns: others, .. })) => {
                RemoteError::OtherColumns { version, columns: others, before: columns.clone() }
            }
            Ok(Found::Never(reason)) => {
                // The service says for itself how far it is.
                way.say(reason);
                continue;
            }
            Err(error) => error,
        };
        if way.say(error.reason()) {
            tracing::warn!(
                use_case,
                error = &error as &dyn std::error::Error,
                "there is no model that can be taken up"
            );
        }
    }
}

impl Scorer for EventualScorer {
    type Error = RemoteError;

    fn columns(&self) -> &[String] {
        &self.columns
    }

    async fn score(&self, rows: &Matrix) -> Result<Scores, RemoteError> {
        match (self.way.model.get(), self.without) {
            (Some(model), _) => model.score(rows).await,
            (None, WithoutModel::LeaveUnscored) => Ok(Scores::default()),
            (None, WithoutModel::Fail) => {
                Err(RemoteError::NoModel { url: self.url.clone(), reason: self.way.reason() })
            }
        }
    }
}
