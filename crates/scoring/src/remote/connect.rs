//! Finding the model at a server, and waiting for it.

use std::time::Duration;

use pulse_core::{Backoff, Classify, ErrorClass};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::ask::one_of;
use super::error::RemoteError;
use super::http::Question;
use super::pool::{Pool, Way};
use crate::oip::{ModelMetadata, ModelParameters};

const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// What is waited for is said again after this time.
const SAY_AGAIN: Duration = Duration::from_secs(10);
/// Bytes that a model's metadata may have.
const METADATA_BYTES: usize = 1 << 20;

/// What the server says of a model.
#[derive(Debug)]
pub(super) enum Found {
    /// There is one.
    Model(FoundModel),
    /// There is none to wait for: why.
    Never(String),
}

/// A model, as far as a scorer has to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FoundModel {
    pub(super) version: String,
    pub(super) columns: Vec<String>,
    pub(super) max_rows: usize,
}

/// A model that is to be found again, or one of its columns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sought<'a> {
    pub(super) version: &'a str,
    pub(super) columns: &'a [String],
}

/// Asks until there is a model; none when there is none to wait for.
pub(super) async fn wait(
    pool: &Pool,
    use_case: &str,
    mut waiting: impl FnMut(&str) + Send,
) -> Result<Option<FoundModel>, RemoteError> {
    let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
    let (mut told, mut said_at) = (String::new(), None::<Instant>);
    loop {
        let error = match look(pool, use_case).await {
            Ok(Found::Model(model)) => return Ok(Some(model)),
            Ok(Found::Never(reason)) => {
                let url = pool.server.base();
                tracing::warn!(use_case, url, reason, "the ml service has no model, and says not to wait for one");
                return Ok(None);
            }
            Err(error) if error.class() == ErrorClass::Retry => error,
            Err(error) => return Err(error),
        };
        let reason = error.reason();
        if reason != told {
            waiting(&reason);
            told = reason;
        }
        if said_at.is_none_or(|at| at.elapsed() >= SAY_AGAIN) {
            said_at = Some(Instant::now());
            tracing::info!(error = &error as &dyn std::error::Error, "waiting for the model");
        }
        tokio::time::sleep(backoff.pause(rand::random())).await;
    }
}

/// Looks the addresses up, and asks whether they have a model.
pub(super) async fn look(pool: &Pool, use_case: &str) -> Result<Found, RemoteError> {
    pool.resolve(Instant::now()).await?;
    find(pool, use_case, None).await
}

/// Asks all addresses at once for the model in force. Those that have the one that is taken are asked from now on.
pub(super) async fn find(pool: &Pool, use_case: &str, sought: Option<Sought<'_>>) -> Result<Found, RemoteError> {
    let mut asking = JoinSet::new();
    for way in pool.ways() {
        let (use_case, base) = (use_case.to_owned(), pool.server.base().to_owned());
        let time = pool.options.connect_time;
        asking.spawn(async move {
            let found = ask(&way, time, &use_case, &base).await;
            (way, found)
        });
    }
    let (mut models, mut never, mut errors) = (Vec::new(), None, Vec::new());
    let mut answers = asking.join_all().await;
    answers.sort_unstable_by_key(|(way, _)| way.address());
    for (way, found) in answers {
        match found {
            Ok(Found::Model(model)) => models.push((way, model)),
            Ok(Found::Never(reason)) => never = Some(reason),
            Err(error) => {
                pool.failed(&way, &error);
                errors.push(error);
            }
        }
    }
    let versions: Vec<&FoundModel> = models.iter().map(|(_, model)| model).collect();
    let Some(taken) = choose(&versions, sought) else {
        // Where some address does not answer, that may be the one with a model.
        return never.filter(|_| errors.is_empty()).map(Found::Never).ok_or_else(|| one_of(errors, pool.server.base()));
    };
    for (way, _) in models.iter().filter(|(_, model)| model.version == taken.version) {
        pool.answered(way);
    }
    Ok(Found::Model(taken))
}

/// Asks one address for the model in force.
async fn ask(way: &Way, time: Duration, use_case: &str, base: &str) -> Result<Found, RemoteError> {
    let question = Question::get(format!("/v2/models/{use_case}"), METADATA_BYTES);
    let is_none = |reason: String| RemoteError::Metadata { url: way.endpoint().shown(&question.path), reason };
    let answer = way.client().ask_within(time, way.endpoint(), &question).await.map_err(|error| match error {
        RemoteError::TooLarge { .. } | RemoteError::Nonsense { .. } => is_none(error.to_string()),
        error => error,
    })?;
    if answer.says_never() {
        return Ok(Found::Never(answer.message()));
    }
    let answer = answer.accepted().map_err(|error| match error {
        RemoteError::Gone { message, .. } => {
            RemoteError::UnknownUseCase { url: base.to_owned(), use_case: use_case.to_owned(), message }
        }
        error => error,
    })?;
    serde_json::from_slice(&answer.body)
        .map_err(|error| error.to_string())
        .and_then(usable)
        .map(Found::Model)
        .map_err(is_none)
}

/// The model to score with, where addresses have several: the one that is sought, else one of its columns, else any. Of
/// these the one that most have, so that which address answers first decides nothing.
fn choose(models: &[&FoundModel], sought: Option<Sought<'_>>) -> Option<FoundModel> {
    let wish = |model: &FoundModel| {
        let fits = sought.is_none_or(|sought| sought.columns == model.columns);
        let same = sought.is_some_and(|sought| sought.version == model.version);
        (fits && same, fits, models.iter().filter(|other| other.version == model.version).count())
    };
    // The first of several that are as good: the last that is taken, from the end on.
    let taken = models.iter().rev().max_by_key(|model| wish(model))?;
    let those = models.iter().filter(|model| model.version == taken.version);
    let max_rows = those.map(|model| model.max_rows).min().unwrap_or(taken.max_rows);
    Some(FoundModel { max_rows, ..(**taken).clone() })
}

/// The model that the metadata describe; its version becomes part of a path.
fn usable(metadata: ModelMetadata) -> Result<FoundModel, String> {
    let ModelParameters { columns, version, max_rows, .. } = metadata.parameters;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if version.is_empty() || version.starts_with('.') || !version.chars().all(is_plain) {
        return Err(format!("the version {version:?} must be letters, digits, `.`, `_` and `-`"));
    }
    if columns.is_empty() {
        return Err("it names no columns".to_owned());
    }
    Ok(FoundModel { version, columns, max_rows: max_rows.unwrap_or(usize::MAX) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(version: &str, columns: &[&str]) -> Result<FoundModel, String> {
        let columns = columns.iter().map(|&name| name.to_owned()).collect();
        let parameters =
            ModelParameters { columns, version: version.to_owned(), threshold: 0.5, highest: 0.7, max_rows: None };
        let (inputs, outputs) = (Vec::new(), Vec::new());
        usable(ModelMetadata {
            name: "x".into(),
            versions: vec![],
            platform: String::new(),
            inputs,
            outputs,
            parameters,
        })
    }

    #[test]
    fn a_version_that_is_no_part_of_a_path_is_refused() {
        assert_eq!(found("9c2f0a4be1d07733", &["a"]).unwrap().version, "9c2f0a4be1d07733");
        for version in ["", "..", "a/b", "a b", "ä", "a?b"] {
            assert!(found(version, &["a"]).is_err(), "{version}");
        }
        assert!(found("1", &[]).is_err());
    }

    #[test]
    fn what_most_have_is_taken_unless_another_is_sought() {
        let model =
            |version: &str, columns: &[&str], max_rows| FoundModel { max_rows, ..found(version, columns).unwrap() };
        let models = [
            model("1", &["a"], 9),
            model("2", &["a"], 8),
            model("3", &["b"], 7),
            model("2", &["a"], 6),
            model("3", &["b"], 5),
        ];
        let models: Vec<&FoundModel> = models.iter().collect();
        let sought = |version, columns: &[&str]| {
            let columns: Vec<String> = columns.iter().map(|&name| name.to_owned()).collect();
            choose(&models, Some(Sought { version, columns: &columns })).unwrap().version
        };
        assert_eq!(choose(&models, None), Some(model("2", &["a"], 6)), "with the least that one of them takes");
        assert_eq!(sought("1", &["a"]), "1");
        assert_eq!(sought("9", &["b"]), "3");
        assert_eq!(sought("9", &["c"]), "2");
        assert_eq!(choose(&[], None), None);
    }
}
