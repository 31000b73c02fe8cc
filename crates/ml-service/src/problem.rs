//! Errors as problem details (RFC 9457).

use std::io::ErrorKind;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use pulse_features::Fault;
use pulse_scoring::oip::{Absence, ErrorBody};
use serde::Serialize;

use crate::model_slot::WarmUp;
use crate::registry::RegistryError;
use crate::training::chain;

/// Seconds after which it makes sense to ask again for a model.
const RETRY_AFTER_SECONDS: u16 = 2;

/// Characters that a detail has at the most: it may quote what the caller sent, which may be long.
const MAX_DETAIL: usize = 4000;

/// What a caller did wrong, or what is wrong with us.
#[derive(Debug, Clone)]
pub(crate) struct Problem(Box<Details>);

#[derive(Debug, Clone, Serialize)]
struct Details {
    /// A name that programs can go by.
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    detail: String,
    /// Faults of fields, all at once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Fault>,
    /// How far the way to a model is.
    #[serde(skip_serializing_if = "Option::is_none")]
    warm_up: Option<WarmUp>,
    /// Without a model: whether one will come.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<Absence>,
}

/// A problem in the form of the Open Inference Protocol.
#[derive(Debug, Clone)]
pub(crate) struct OipProblem(Problem);

#[derive(Debug, Serialize)]
struct OipBody {
    #[serde(flatten)]
    body: ErrorBody,
    #[serde(skip_serializing_if = "Option::is_none")]
    warm_up: Option<WarmUp>,
}

/// The paths of the Open Inference Protocol, whose errors have a form of their own.
const OIP_PATHS: &str = "/v2";

impl Problem {
    fn new(status: StatusCode, kind: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        let mut detail = detail.into();
        if let Some((end, _)) = detail.char_indices().nth(MAX_DETAIL) {
            detail.truncate(end);
            detail.push('…');
        }
        let status = status.as_u16();
        Self(Box::new(Details { kind, title, status, detail, errors: Vec::new(), warm_up: None, state: None }))
    }

    /// The event is not one of the use case.
    pub(crate) fn invalid_event(errors: Vec<Fault>) -> Self {
        let listed: Vec<String> = errors.iter().map(ToString::to_string).collect();
        let kind = "urn:pulse:problem:invalid-event";
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        let mut problem = Self::new(status, kind, "the event is not valid", listed.join("; "));
        problem.0.errors = errors;
        problem
    }

    /// The body has another shape than the route takes.
    pub(crate) fn wrong_shape(value: &str, message: &str) -> Self {
        let value = value.chars().take(100).collect();
        Self::invalid_event(vec![Fault { field: String::new(), value, message: message.to_owned() }])
    }

    /// The body is not JSON, or there is none.
    pub(crate) fn broken_body(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "urn:pulse:problem:broken-body", "the body is not JSON", detail)
    }

    /// The body is announced as something else than JSON.
    pub(crate) fn content_type(got: Option<&HeaderValue>) -> Self {
        let got = got.map_or_else(|| "there is no Content-Type".to_owned(), |got| format!("Content-Type is {got:?}"));
        let detail = format!("{got}: send JSON with `Content-Type: application/json`");
        let kind = "urn:pulse:problem:content-type";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, kind, "the body must be JSON", detail)
    }

    /// The body, or the batch in it, is too large.
    pub(crate) fn too_large(detail: impl Into<String>) -> Self {
        let kind = "urn:pulse:problem:too-large";
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, kind, "the request is too large", detail)
    }

    /// There is no such use case.
    pub(crate) fn unknown_use_case<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Self {
        let known: Vec<&str> = known.collect();
        let detail = format!("there is no use case {name:?} here; there are: {}", known.join(", "));
        Self::new(StatusCode::NOT_FOUND, "urn:pulse:problem:unknown-use-case", "unknown use case", detail)
    }

    /// The path names something that is no text.
    pub(crate) fn broken_path(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "urn:pulse:problem:broken-path", "the path cannot be read", detail)
    }

    /// There is no such route.
    pub(crate) fn unknown_route(path: &str) -> Self {
        let detail = format!("there is nothing at {path}; /docs shows what there is");
        Self::new(StatusCode::NOT_FOUND, "urn:pulse:problem:unknown-route", "not found", detail)
    }

    /// The route does not take this method.
    pub(crate) fn method(method: &str, path: &str) -> Self {
        let detail = format!("{path} does not take {method}; /docs shows what it takes");
        let kind = "urn:pulse:problem:method";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, kind, "method not allowed", detail)
    }

    /// The request took too long.
    pub(crate) fn timeout(seconds: f64) -> Self {
        let detail = format!("the request was not done after {seconds} s");
        Self::new(StatusCode::REQUEST_TIMEOUT, "urn:pulse:problem:timeout", "the request took too long", detail)
    }

    /// There is no model of this version.
    pub(crate) fn unknown_version(version: &str, in_force: &str) -> Self {
        let detail = format!("there is no version {version:?} of the model here; in force is {in_force}");
        Self::new(StatusCode::NOT_FOUND, "urn:pulse:problem:unknown-version", "unknown version", detail)
    }

    /// Why a stored version cannot be used.
    pub(crate) fn of_registry(error: RegistryError) -> Self {
        let conflict = |kind, title| Self::new(StatusCode::CONFLICT, kind, title, chain(&error));
        match &error {
            RegistryError::Unknown { .. } => {
                let kind = "urn:pulse:problem:unknown-version";
                Self::new(StatusCode::NOT_FOUND, kind, "unknown version", chain(&error))
            }
            RegistryError::Misfit { .. } => conflict("urn:pulse:problem:model-misfit", "the model does not fit"),
            RegistryError::Damaged { .. } => conflict("urn:pulse:problem:model-damaged", "the model is damaged"),
            RegistryError::NoCandidate { .. } => conflict("urn:pulse:problem:no-candidate", "it cannot be a candidate"),
            RegistryError::InUse(_) => conflict("urn:pulse:problem:model-in-use", "the model is used"),
            RegistryError::NoVersionBefore => {
                conflict("urn:pulse:problem:no-version-before", "there is no version to go back to")
            }
            RegistryError::Io { source, .. }
                if matches!(source.kind(), ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied) =>
            {
                conflict("urn:pulse:problem:read-only-models", "the folder of models cannot be written from here")
            }
            _ => Self::internal(chain(&error)),
        }
    }

    /// The model cannot be changed while the process runs.
    pub(crate) fn fixed_model() -> Self {
        let detail = "this process uses one model from its start to its end: use `stream-pulse models activate`, and start it again";
        let kind = "urn:pulse:problem:fixed-model";
        Self::new(StatusCode::CONFLICT, kind, "the model cannot be changed here", detail)
    }

    /// The caller does not say who they are, or is somebody else.
    pub(crate) fn unauthorized() -> Self {
        let detail = "send the token of ml_service.token as `Authorization: Bearer …`";
        Self::new(StatusCode::UNAUTHORIZED, "urn:pulse:problem:unauthorized", "not allowed", detail)
    }

    /// Nobody is asked who they are, and it cannot be undone.
    pub(crate) fn needs_token() -> Self {
        let detail = "a version is removed for good by this: set ml_service.token and send that, or use `stream-pulse models remove`";
        Self::new(StatusCode::FORBIDDEN, "urn:pulse:problem:needs-token", "not allowed", detail)
    }

    /// A page of another site made the browser ask.
    pub(crate) fn cross_site() -> Self {
        let detail = "a page of another site asks for this: nothing is changed by it; use the page at /docs, or the command line";
        Self::new(StatusCode::FORBIDDEN, "urn:pulse:problem:cross-site", "not allowed", detail)
    }

    /// Too much is asked at once.
    pub(crate) fn overloaded(limit: usize, what: &str) -> Self {
        let detail = format!("{limit} {what} are being answered, which is the limit: send it again a little later");
        let kind = "urn:pulse:problem:overloaded";
        Self::new(StatusCode::TOO_MANY_REQUESTS, kind, "too many requests", detail)
    }

    /// The message is none of the Open Inference Protocol, or not one for this model.
    pub(crate) fn broken_message(detail: impl Into<String>) -> Self {
        let kind = "urn:pulse:problem:broken-message";
        Self::new(StatusCode::BAD_REQUEST, kind, "the message cannot be used", detail)
    }

    /// There is no model.
    pub(crate) fn no_model(warm_up: WarmUp, state: Absence) -> Self {
        let title = match state {
            Absence::WarmingUp => "there is no model yet",
            Absence::NoModel => "there is no model",
        };
        let detail = match warm_up.total {
            Some(total) => format!("{title}: {}, {} of {total} rows", warm_up.stage, warm_up.done),
            None => format!("{title}: {}", warm_up.stage),
        };
        let mut problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "urn:pulse:problem:no-model", title, detail);
        problem.0.warm_up = Some(warm_up);
        problem.0.state = Some(state);
        problem
    }

    /// The response in the form that is usual at `path`.
    pub(crate) fn at(self, path: &str) -> Response {
        let is_oip = path.strip_prefix(OIP_PATHS).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if is_oip { OipProblem(self).into_response() } else { self.into_response() }
    }

    fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Says when to ask again, where that makes sense.
    fn add_retry_after(state: Option<Absence>, response: &mut Response) {
        if state == Some(Absence::WarmingUp) || response.status() == StatusCode::TOO_MANY_REQUESTS {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
        }
    }

    /// We are at fault.
    pub(crate) fn internal(detail: impl Into<String>) -> Self {
        let detail = detail.into();
        tracing::error!(%detail, "a request failed");
        let kind = "urn:pulse:problem:internal";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, kind, "the service is at fault", detail)
    }
}

impl From<Problem> for OipProblem {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let state = self.0.state;
        let mut response = (self.status(), Json(self.0)).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        Self::add_retry_after(state, &mut response);
        if response.status() == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl IntoResponse for OipProblem {
    fn into_response(self) -> Response {
        let status = self.0.status();
        let Details { detail, warm_up, state, .. } = *self.0.0;
        let body = OipBody { body: ErrorBody { error: detail, state }, warm_up };
        let mut response = (status, Json(body)).into_response();
        Problem::add_retry_after(state, &mut response);
        response
    }
}
