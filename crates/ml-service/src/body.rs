//! From a request's body to the JSON in it.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::problem::Problem;

/// The body as axum hands it over.
pub(crate) type Body = Result<Bytes, BytesRejection>;

/// The bytes of a body that is announced as JSON and is not empty.
pub(crate) fn json_bytes(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, Problem> {
    let content_type = headers.get(header::CONTENT_TYPE);
    let essence = content_type.and_then(|value| value.to_str().ok()).map(|value| value.split(';').next().unwrap_or(""));
    let is_json = essence.map(str::trim).is_some_and(|essence| {
        essence.eq_ignore_ascii_case("application/json")
            || (essence.len() > 5
                && essence.get(essence.len() - 5..).is_some_and(|end| end.eq_ignore_ascii_case("+json")))
    });
    if !is_json {
        return Err(Problem::content_type(content_type));
    }
    let body = received(body, limit)?;
    if body.trim_ascii().is_empty() {
        return Err(Problem::broken_body("the body is empty: send the event's fields as a JSON object"));
    }
    Ok(body)
}

/// The bytes of a body that arrived in full and is not too large.
pub(crate) fn received(body: Body, limit: usize) -> Result<Bytes, Problem> {
    body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::too_large(format!("the body is larger than {limit} bytes: send fewer rows at once"))
        }
        _ => Problem::broken_body(format!("the body could not be read: {}", rejection.body_text())),
    })
}

/// The body as one event: a JSON object.
pub(crate) fn one_event(body: &[u8]) -> Result<&RawValue, Problem> {
    let value: &RawValue = serde_json::from_slice(body).map_err(broken)?;
    match value.get().as_bytes().first() {
        Some(b'{') => Ok(value),
        Some(b'[') => {
            Err(Problem::wrong_shape(value.get(), "must be one event, a JSON object; /predict/batch takes many"))
        }
        _ => Err(Problem::wrong_shape(value.get(), "must be an event, a JSON object")),
    }
}

/// The body as many events: an array, or an object with the array `instances`.
pub(crate) fn many_events(body: &[u8]) -> Result<Vec<&RawValue>, Problem> {
    const SHAPE: &str = "must be an array of events, or an object with such an array as `instances`";
    #[derive(Deserialize)]
    struct Instances<'a> {
        #[serde(borrow)]
        instances: Vec<&'a RawValue>,
    }
    let value: &RawValue = serde_json::from_slice(body).map_err(broken)?;
    let events = match value.get().as_bytes().first() {
        Some(b'[') => serde_json::from_str(value.get()),
        Some(b'{') => serde_json::from_str(value.get()).map(|Instances { instances }| instances),
        _ => return Err(Problem::wrong_shape(value.get(), SHAPE)),
    };
    events.map_err(|error| match error.classify() {
        Category::Data => Problem::wrong_shape(value.get(), SHAPE),
        Category::Io | Category::Syntax | Category::Eof => broken(error),
    })
}

fn broken(error: serde_json::Error) -> Problem {
    Problem::broken_body(format!("the body is not JSON: {error}"))
}
