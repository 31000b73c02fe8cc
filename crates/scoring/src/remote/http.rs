//! Requests over connections that are kept open, with limits on time and size.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::RemoteOptions;
use super::error::RemoteError;
use crate::oip::{self, Absence, ErrorBody, HEADER_LENGTH, Message};

/// A connection that nobody used for this long is closed.
const IDLE: Duration = Duration::from_secs(30);
/// Characters that are shown of an error that the server tells.
const SHOWN: usize = 300;

/// A client of one server.
#[derive(Debug, Clone)]
pub(super) struct Http {
    client: Client<HttpConnector, Full<Bytes>>,
    base: String,
    request_time: Duration,
}

/// What the server answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) url: String,
    pub(super) status: StatusCode,
    pub(super) header_length: Option<usize>,
    pub(super) body: Bytes,
}

impl Http {
    pub(super) fn new(url: &str, options: RemoteOptions) -> Result<Self, RemoteError> {
        let base = base_of(url).map_err(|reason| RemoteError::Url { url: without_password(url), reason })?;
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(options.connect_time));
        // A request is written at once: waiting for more would only delay its last part.
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .build(connector);
        Ok(Self { client, base, request_time: options.request_time })
    }

    /// The server's URL, without a slash at its end.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    pub(super) async fn get(&self, path: &str, limit: usize) -> Result<Answer, RemoteError> {
        self.send(Method::GET, path, Message { header_length: None, body: Vec::new() }, limit).await
    }

    pub(super) async fn post(&self, path: &str, message: Message, limit: usize) -> Result<Answer, RemoteError> {
        self.send(Method::POST, path, message, limit).await
    }

    async fn send(&self, method: Method, path: &str, message: Message, limit: usize) -> Result<Answer, RemoteError> {
        let url = format!("{}{path}", self.base);
        let mut request = Request::builder().method(method).uri(&url);
        if let Some(length) = message.header_length {
            let binary = HeaderValue::from_static("application/octet-stream");
            request = request.header(HEADER_LENGTH, length).header(CONTENT_TYPE, binary);
        } else if !message.body.is_empty() {
            request = request.header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let request = request
            .body(Full::from(message.body))
            .map_err(|_| RemoteError::Url { url: url.clone(), reason: "it is no URL" })?;
        let answered = tokio::time::timeout(self.request_time, self.exchange(request, &url, limit)).await;
        answered.map_err(|_| RemoteError::Timeout { url, seconds: self.request_time.as_secs_f64() })?
    }

    async fn exchange(&self, request: Request<Full<Bytes>>, url: &str, limit: usize) -> Result<Answer, RemoteError> {
        let unreachable = |source| RemoteError::Unreachable { url: self.base.clone(), source };
        let response = self.client.request(request).await.map_err(|error| unreachable(error.into()))?;
        let (parts, body) = response.into_parts();
        let header_length = parts.headers.get(HEADER_LENGTH).map(|value| oip::header_length(value.as_bytes()));
        let header_length =
            header_length.transpose().map_err(|source| RemoteError::Nonsense { url: url.to_owned(), source })?;
        let body = Limited::new(body, limit).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                RemoteError::TooLarge { url: url.to_owned(), limit }
            } else {
                unreachable(error)
            }
        })?;
        Ok(Answer { url: url.to_owned(), status: parts.status, header_length, body: body.to_bytes() })
    }
}

impl Answer {
    /// The answer where it is one, else the error that it tells.
    pub(super) fn accepted(self) -> Result<Self, RemoteError> {
        if self.status.is_success() {
            return Ok(self);
        }
        let (message, status) = (self.message(), self.status.as_u16());
        let is_protocol = self.error().is_some();
        let url = self.url;
        Err(match self.status {
            StatusCode::NOT_FOUND if is_protocol => RemoteError::Gone { url, message },
            // A service that has only just begun serves its health and nothing else.
            StatusCode::NOT_FOUND => {
                let message = "it is starting, or does not speak the Open Inference Protocol".to_owned();
                RemoteError::Unavailable { url, status, message }
            }
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
                RemoteError::Unavailable { url, status, message }
            }
            status_code if status_code.is_server_error() => RemoteError::Unavailable { url, status, message },
            _ => RemoteError::Refused { url, status, message },
        })
    }

    /// Whether the server says that there is no model, and none will come.
    pub(super) fn says_never(&self) -> bool {
        self.status == StatusCode::SERVICE_UNAVAILABLE
            && self.error().is_some_and(|error| error.state == Some(Absence::NoModel))
    }

    /// What the server says of the error, cut to a length for people.
    pub(super) fn message(&self) -> String {
        let said = self.error().map(|error| error.error);
        let text = said.unwrap_or_else(|| String::from_utf8_lossy(&self.body).into_owned());
        match text.trim() {
            "" => "it does not say why".to_owned(),
            text => text.chars().take(SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect(),
        }
    }

    fn error(&self) -> Option<ErrorBody> {
        serde_json::from_slice(&self.body).ok()
    }
}

/// The URL in the form to which paths are added.
fn base_of(url: &str) -> Result<String, &'static str> {
    let uri: Uri = url.trim().parse().map_err(|_| "it is no URL")?;
    match uri.scheme_str() {
        Some("http") => {}
        Some("https") => return Err("TLS is not spoken here, let a proxy beside this service speak it"),
        _ => return Err("it must begin with http://"),
    }
    let authority = uri.authority().ok_or("it names no host")?;
    if authority.as_str().contains('@') {
        return Err("it must not contain a user or a password");
    }
    if uri.query().is_some() {
        return Err("it must not have a query");
    }
    Ok(format!("http://{authority}{}", uri.path().trim_end_matches('/')))
}

/// The URL as it may be shown.
fn without_password(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://…@{host}"),
        (None, Some((_, host))) => format!("…@{host}"),
        (_, None) => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use pulse_core::{Classify as _, ErrorClass};

    use super::*;

    #[test]
    fn a_404_that_is_none_of_the_protocol_is_waited_out() {
        let answer = |body: &'static [u8]| Answer {
            url: "http://x".into(),
            status: StatusCode::NOT_FOUND,
            header_length: None,
            body: body.into(),
        };
        assert!(matches!(answer(br#"{"error":"no such model"}"#).accepted(), Err(RemoteError::Gone { .. })));
        for body in [&b""[..], b"not found", b"{}"] {
            assert_eq!(answer(body).accepted().err().map(|error| error.class()), Some(ErrorClass::Retry));
        }
    }

    #[test]
    fn a_url_is_taken_with_or_without_a_path() {
        assert_eq!(base_of("http://localhost:8000").unwrap(), "http://localhost:8000");
        assert_eq!(base_of(" http://ml-service:8000/ ").unwrap(), "http://ml-service:8000");
        assert_eq!(base_of("http://[::1]:80/behind/a/proxy/").unwrap(), "http://[::1]:80/behind/a/proxy");
    }

    #[test]
    fn other_urls_are_refused_and_no_password_is_shown() {
        for url in ["", "localhost:8000", "/v2", "ftp://x", "http://", "http://x/?a=b", "http://a b"] {
            assert!(base_of(url).is_err(), "{url}");
        }
        assert!(base_of("https://x").unwrap_err().contains("TLS"));
        let error = Http::new("http://me:secret@host:1", RemoteOptions::default()).unwrap_err().to_string();
        assert!(error.contains("http://…@host:1") && !error.contains("secret"), "{error}");
    }
}
