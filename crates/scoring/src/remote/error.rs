//! Why a remote model does not score.

use pulse_core::{Classify, ErrorClass};

use crate::oip::OipError;

/// Why a remote model does not score.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// The URL is none that can be asked.
    #[error("{url:?} is no address of an ml service: {reason}; write it like http://localhost:8000")]
    Url {
        /// The URL.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The server cannot be reached, or broke off.
    #[error("the ml service at {url} cannot be reached")]
    Unreachable {
        /// Where it is.
        url: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server took too long.
    #[error("the ml service did not answer {url} within {seconds:.1} s")]
    Timeout {
        /// What was asked.
        url: String,
        /// The time it had, in seconds.
        seconds: f64,
    },
    /// None of several addresses answers as it should.
    #[error("none of {addresses} addresses of the ml service at {url} answers")]
    NoneAnswers {
        /// Where it is.
        url: String,
        /// How many were asked.
        addresses: usize,
        /// What one of them says.
        source: Box<RemoteError>,
    },
    /// The server cannot answer at present.
    #[error("the ml service cannot answer {url} at present ({status}): {message}")]
    Unavailable {
        /// What was asked.
        url: String,
        /// The HTTP status.
        status: u16,
        /// What it says.
        message: String,
    },
    /// The server has no model.
    #[error("the ml service at {url} has no model: {reason}")]
    NoModel {
        /// Where it is.
        url: String,
        /// What it says.
        reason: String,
    },
    /// The version asked for is no longer there.
    #[error("{url} is no longer there: {message}")]
    Gone {
        /// What was asked.
        url: String,
        /// What it says.
        message: String,
    },
    /// The model changes faster than it can be asked.
    #[error("the ml service at {url} names version {version} and does not have it")]
    Unsettled {
        /// Where it is.
        url: String,
        /// The version that it named last.
        version: String,
    },
    /// The server does not know the use case.
    #[error("the ml service at {url} does not serve {use_case}: start it with USE_CASE={use_case} ({message})")]
    UnknownUseCase {
        /// Where it is.
        url: String,
        /// The use case.
        use_case: String,
        /// What it says.
        message: String,
    },
    /// The server refused the request.
    #[error("the ml service refused {url} ({status}): {message}")]
    Refused {
        /// What was asked.
        url: String,
        /// The HTTP status.
        status: u16,
        /// What it says.
        message: String,
    },
    /// The answer is larger than any right one could be.
    #[error("the answer of {url} is larger than {limit} bytes: is that an ml service of Stream Pulse?")]
    TooLarge {
        /// What was asked.
        url: String,
        /// The limit.
        limit: usize,
    },
    /// The answer is no scores.
    #[error("the answer of {url} is not what was asked for: is that an ml service of Stream Pulse, of this version?")]
    Nonsense {
        /// What was asked.
        url: String,
        /// What is wrong with it.
        source: OipError,
    },
    /// The metadata of the model are none.
    #[error("{url} does not describe a model that can be used: {reason}")]
    Metadata {
        /// What was asked.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The model in force wants other columns than the one before.
    #[error(
        "version {version} of the model wants the columns {}, where {} were wanted before: start this service anew, \
         with the use case that the model was trained for", columns.join(", "), before.join(", ")
    )]
    OtherColumns {
        /// The version in force.
        version: String,
        /// Its columns.
        columns: Vec<String>,
        /// Those of the version before.
        before: Vec<String>,
    },
    /// The rows have not the model's columns.
    #[error("rows of {rows} values do not fit a model of {columns} columns")]
    Width {
        /// Values of a row.
        rows: usize,
        /// Columns of the model.
        columns: usize,
    },
}

impl RemoteError {
    /// What is wrong, in words for people: where several addresses fail, with what one of them says.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::NoneAnswers { source, .. } => format!("{self}: {source}"),
            _ => self.to_string(),
        }
    }
}

impl Classify for RemoteError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::NoneAnswers { source, .. } => source.class(),
            // What answers nonsense is no ml service of ours, or a broken one: the events wait until there is one.
            Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::Unavailable { .. }
            | Self::NoModel { .. }
            | Self::Gone { .. }
            | Self::Unsettled { .. }
            | Self::TooLarge { .. }
            | Self::Nonsense { .. } => ErrorClass::Retry,
            Self::Url { .. }
            | Self::UnknownUseCase { .. }
            | Self::Refused { .. }
            | Self::Metadata { .. }
            | Self::OtherColumns { .. }
            | Self::Width { .. } => ErrorClass::Fatal,
        }
    }
}
