//! Errors as clients see them: problem details of RFC 9457.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use pulse_core::ErrorClass;
use pulse_core::ports::PortError;
use serde::Serialize;

/// One faulty query parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ParameterFault {
    /// Its name.
    pub(crate) parameter: String,
    /// What was given.
    pub(crate) value: String,
    /// What is wrong, and the mend.
    pub(crate) message: String,
}

/// A problem document.
#[derive(Debug, Serialize)]
pub(crate) struct Problem {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    detail: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<ParameterFault>,
}

impl Problem {
    fn new(status: StatusCode, title: &'static str, detail: impl Into<String>) -> Self {
        Self { kind: "about:blank", title, status: status.as_u16(), detail: detail.into(), errors: Vec::new() }
    }

    /// The request's parameters cannot be used.
    pub(crate) fn bad_parameters(errors: Vec<ParameterFault>) -> Self {
        let detail = errors.iter().map(|fault| format!("{}: {}", fault.parameter, fault.message));
        let detail = detail.collect::<Vec<_>>().join("; ");
        Self { errors, ..Self::new(StatusCode::BAD_REQUEST, "Invalid query parameter", detail) }
    }

    /// What was asked for is not there.
    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "Not found", detail)
    }

    /// As many streams are open as may be.
    pub(crate) fn too_many_streams(limit: usize) -> Self {
        let detail = format!("{limit} live streams are open already: close one, or read /api/anomalies now and then");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "Too many streams", detail)
    }

    /// The store took too long.
    pub(crate) fn timed_out() -> Self {
        let detail = "the store did not answer in time: ask for a shorter period, or try again";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "Store too slow", detail)
    }

    /// The store failed. What it said goes to the log, not to the client.
    pub(crate) fn of_store<E: PortError>(error: &E) -> Self {
        match error.class() {
            ErrorClass::Retry => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "Store unavailable", "the store is away for now: try again")
            }
            ErrorClass::DeadLetter | ErrorClass::Fenced | ErrorClass::Fatal => {
                let detail = "the store failed; the dashboard's log says why";
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Store failed", detail)
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
