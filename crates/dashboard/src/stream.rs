//! `/api/stream`: anomalies as they arrive, as Server-Sent Events.
//!
//! One task ([`follow`]) reads what the store got and broadcasts it through a [`Hub`]; each client has a [`Session`].

mod follower;
mod frame;
mod hub;
mod session;

pub(crate) use follower::follow;
pub(crate) use hub::Hub;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use pulse_core::ports::AnomalyQuery;

use crate::api::Answer;
use crate::params::Params;
use crate::problem::{ParameterFault, Problem};
use crate::server::Shared;
use session::Session;

/// Opens a stream behind `Last-Event-ID`, else behind `after`, else at the present.
pub(crate) async fn open<Q: AnomalyQuery>(
    State(app): State<Shared<Q>>,
    headers: HeaderMap,
    mut params: Params,
) -> Answer {
    let after = params.number("after", 0..=u64::MAX);
    params.finish("after")?;
    let after = last_event_id(&headers)?.or(after);
    let session = Session::start(app, after).await?;
    let body = Body::from_stream(stream::unfold(session, Session::next));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // Reverse proxies of the nginx kind would hold events back.
        (header::HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    Ok::<Response, Problem>((headers, body).into_response())
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get("last-event-id").filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let number = value.to_str().ok().and_then(|text| text.parse().ok());
    number.map(Some).ok_or_else(|| {
        Problem::bad_parameters(vec![ParameterFault {
            parameter: "Last-Event-ID".to_owned(),
            value: String::from_utf8_lossy(value.as_bytes()).chars().take(100).collect(),
            message: "must be the id of an event of this stream, a whole number: leave it out to start now".to_owned(),
        }])
    })
}
