//! From a request's body to the JSON in it.

use std::time::Instant;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use http_body_util::BodyExt as _;
use serde::Deserialize;
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::doors::{Doors, Place, Room};
use crate::problem::Problem;
use crate::service::MlService;

/// The body of a request for scores that was let in. It has its place until it is dropped.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) bytes: Bytes,
    /// When it was asked, before the body came.
    pub(crate) asked_at: Instant,
    _place: Place,
    _room: Room,
}

impl FromRequest<MlService> for Admitted {
    type Rejection = Response;

    async fn from_request(request: Request, service: &MlService) -> Result<Self, Response> {
        let (head, body) = request.into_parts();
        let admitted = Self::admit(&head.headers, body, service.doors(), service.limits().body_bytes).await;
        admitted.map_err(|problem| problem.at(head.uri.path()))
    }
}

impl Admitted {
    async fn admit(headers: &HeaderMap, body: Body, doors: &Doors, limit: usize) -> Result<Self, Problem> {
        let (asked_at, _place) = (Instant::now(), doors.request()?);
        let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        if announced.is_some_and(|announced: usize| announced > limit) {
            return Err(too_large(limit));
        }
        let mut room = doors.room();
        let bytes = receive(body, limit, &mut room).await?;
        Ok(Self { bytes, asked_at, _place, _room: room })
    }

    /// The bytes of a body that is announced as JSON and is not empty.
    pub(crate) fn json(&self, headers: &HeaderMap) -> Result<&[u8], Problem> {
        let content_type = headers.get(header::CONTENT_TYPE);
        let essence =
            content_type.and_then(|value| value.to_str().ok()).map(|value| value.split(';').next().unwrap_or(""));
        let is_json = essence.map(str::trim).is_some_and(|essence| {
            essence.eq_ignore_ascii_case("application/json")
                || (essence.len() > 5
                    && essence.get(essence.len() - 5..).is_some_and(|end| end.eq_ignore_ascii_case("+json")))
        });
        if !is_json {
            return Err(Problem::content_type(content_type));
        }
        if self.bytes.trim_ascii().is_empty() {
            return Err(Problem::broken_body("the body is empty: send the event's fields as a JSON object"));
        }
        Ok(&self.bytes)
    }
}

/// Reads `body` to its end. What has arrived takes `room`, and not what is only announced: else a few who send nothing would keep
/// all others out.
async fn receive(mut body: Body, limit: usize, room: &mut Room) -> Result<Bytes, Problem> {
    // Most bodies arrive in one piece, which is not copied.
    let (mut first, mut all) = (Bytes::new(), Vec::new());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Problem::broken_body(format!("the body could not be read: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        let arrived = first.len().max(all.len()) + data.len();
        if arrived > limit {
            return Err(too_large(limit));
        }
        room.grow(arrived)?;
        if first.is_empty() && all.is_empty() {
            first = data;
        } else {
            all.extend_from_slice(&std::mem::take(&mut first));
            all.extend_from_slice(&data);
        }
    }
    Ok(if all.is_empty() { first } else { all.into() })
}

fn too_large(limit: usize) -> Problem {
    Problem::too_large(format!("the body is larger than {limit} bytes: send fewer rows at once"))
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
