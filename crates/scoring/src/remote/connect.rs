//! Finding the model at a server, and waiting for it.

use std::time::Duration;

use pulse_core::{Backoff, Classify, ErrorClass};
use tokio::time::Instant;

use super::error::RemoteError;
use super::http::Http;
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
    /// There is none, and none will come: why.
    Never(String),
}

/// A model, as far as a scorer has to know it.
#[derive(Debug)]
pub(super) struct FoundModel {
    pub(super) version: String,
    pub(super) columns: Vec<String>,
    pub(super) max_rows: usize,
}

/// Asks until there is a model; none when none will come.
pub(super) async fn wait(
    http: &Http,
    use_case: &str,
    mut waiting: impl FnMut(&str) + Send,
) -> Result<Option<FoundModel>, RemoteError> {
    let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
    let (mut told, mut said_at) = (String::new(), None::<Instant>);
    loop {
        let error = match find(http, use_case).await {
            Ok(Found::Model(model)) => return Ok(Some(model)),
            Ok(Found::Never(reason)) => {
                tracing::warn!(use_case, url = http.base(), reason, "the ml service has no model, and none is coming");
                return Ok(None);
            }
            Err(error) if error.class() == ErrorClass::Retry => error,
            Err(error) => return Err(error),
        };
        let reason = error.to_string();
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

/// Asks for the model in force.
pub(super) async fn find(http: &Http, use_case: &str) -> Result<Found, RemoteError> {
    let path = format!("/v2/models/{use_case}");
    let answer = http.get(&path, METADATA_BYTES).await?;
    if answer.says_never() {
        return Ok(Found::Never(answer.message()));
    }
    let answer = answer.accepted().map_err(|error| match error {
        RemoteError::Gone { message, .. } => {
            RemoteError::UnknownUseCase { url: http.base().to_owned(), use_case: use_case.to_owned(), message }
        }
        error => error,
    })?;
    match serde_json::from_slice(&answer.body).map_err(|error| error.to_string()).and_then(usable) {
        Ok(model) => Ok(Found::Model(model)),
        Err(reason) => Err(RemoteError::Metadata { url: answer.url, reason }),
    }
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
}
