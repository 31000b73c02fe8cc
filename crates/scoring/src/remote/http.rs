//! Requests to one address, over connections that are kept open, with a limit on the size of answers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::error::RemoteError;
use crate::oip::{self, Absence, ErrorBody, HEADER_LENGTH, Message};

/// A connection that nobody used for this long is closed.
const IDLE: Duration = Duration::from_secs(30);
/// Connections to an address that are kept open while nobody uses them.
const KEPT: usize = 32;
/// Characters that are shown of an error that the server tells.
const SHOWN: usize = 300;

/// The server that a URL names, which may have many addresses.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Server {
    base: String,
    pub(super) host: String,
    pub(super) port: u16,
    /// What requests call it, whichever address they go to.
    name: HeaderValue,
    path: String,
}

/// One address of a server.
#[derive(Debug)]
pub(super) struct Endpoint {
    server: Arc<Server>,
    pub(super) address: SocketAddr,
}

/// The connections to one address. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Client(legacy::Client<HttpConnector, Full<Bytes>>);

/// What is asked. It may be asked again, elsewhere.
#[derive(Debug, Clone)]
pub(super) struct Question {
    method: Method,
    pub(super) path: String,
    header_length: Option<usize>,
    body: Bytes,
    /// Bytes that an answer may have.
    limit: usize,
}

/// What the server answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) url: String,
    pub(super) status: StatusCode,
    pub(super) header_length: Option<usize>,
    pub(super) body: Bytes,
}

impl Server {
    pub(super) fn new(url: &str) -> Result<Self, RemoteError> {
        server_of(url).map_err(|reason| RemoteError::Url { url: without_password(url), reason })
    }

    /// Its URL, without a slash at its end.
    pub(super) fn base(&self) -> &str {
        &self.base
    }
}

impl Endpoint {
    pub(super) fn new(server: Arc<Server>, address: SocketAddr) -> Self {
        Self { server, address }
    }

    /// The URL of `path` as people know it, and the address where that does not say it.
    pub(super) fn shown(&self, path: &str) -> String {
        let Server { base, name, .. } = &*self.server;
        let address = self.address.to_string();
        if *name == address { format!("{base}{path}") } else { format!("{base}{path} ({address})") }
    }

    fn request(&self, question: &Question) -> Result<Request<Full<Bytes>>, RemoteError> {
        let Server { name, path, .. } = &*self.server;
        let url = format!("http://{}{path}{}", self.address, question.path);
        let mut request = Request::builder().method(&question.method).uri(&url).header(HOST, name);
        if let Some(length) = question.header_length {
            let binary = HeaderValue::from_static("application/octet-stream");
            request = request.header(HEADER_LENGTH, length).header(CONTENT_TYPE, binary);
        } else if !question.body.is_empty() {
            request = request.header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        request.body(question.body.clone().into()).map_err(|_| RemoteError::Url { url, reason: "it is no URL" })
    }
}

impl Question {
    pub(super) fn get(path: String, limit: usize) -> Self {
        Self { method: Method::GET, path, header_length: None, body: Bytes::new(), limit }
    }

    pub(super) fn post(path: String, message: Message, limit: usize) -> Self {
        let Message { header_length, body } = message;
        Self { method: Method::POST, path, header_length, body: body.into(), limit }
    }
}

impl Client {
    pub(super) fn new(connect_time: Duration) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(connect_time));
        // A request is written at once: waiting for more would only delay its last part.
        connector.set_nodelay(true);
        let client = legacy::Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(KEPT)
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .build(connector);
        Self(client)
    }

    /// Asks `endpoint`, however long that takes.
    pub(super) async fn ask(&self, endpoint: &Endpoint, question: &Question) -> Result<Answer, RemoteError> {
        let unreachable = |source| RemoteError::Unreachable { url: endpoint.shown(""), source };
        let response = self.0.request(endpoint.request(question)?).await.map_err(|error| unreachable(error.into()))?;
        let (parts, body) = response.into_parts();
        let url = endpoint.shown(&question.path);
        let header_length = parts.headers.get(HEADER_LENGTH).map(|value| oip::header_length(value.as_bytes()));
        let header_length =
            header_length.transpose().map_err(|source| RemoteError::Nonsense { url: url.clone(), source })?;
        let limit = question.limit;
        let body = Limited::new(body, limit).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                RemoteError::TooLarge { url: url.clone(), limit }
            } else {
                unreachable(error)
            }
        })?;
        Ok(Answer { url, status: parts.status, header_length, body: body.to_bytes() })
    }

    /// Asks `endpoint`, and gives up after `time`.
    pub(super) async fn ask_within(
        &self,
        time: Duration,
        endpoint: &Endpoint,
        question: &Question,
    ) -> Result<Answer, RemoteError> {
        let answered = tokio::time::timeout(time, self.ask(endpoint, question)).await;
        answered.unwrap_or_else(|_| {
            Err(RemoteError::Timeout { url: endpoint.shown(&question.path), seconds: time.as_secs_f64() })
        })
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

/// The server that a URL names, and the path to which others are added.
fn server_of(url: &str) -> Result<Server, &'static str> {
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
    let path = uri.path().trim_end_matches('/').to_owned();
    Ok(Server {
        base: format!("http://{authority}{path}"),
        host: authority.host().trim_matches(['[', ']']).to_owned(),
        port: authority.port_u16().unwrap_or(80),
        name: HeaderValue::from_str(authority.as_str()).map_err(|_| "it is no URL")?,
        path,
    })
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
        let base = |url| server_of(url).unwrap().base;
        assert_eq!(base("http://localhost:8000"), "http://localhost:8000");
        assert_eq!(base(" http://ml-service:8000/ "), "http://ml-service:8000");
        assert_eq!(base("http://[::1]:80/behind/a/proxy/"), "http://[::1]:80/behind/a/proxy");
    }

    #[test]
    fn a_request_goes_to_an_address_and_names_the_server() {
        let server = Arc::new(server_of("http://ml-service/behind/").unwrap());
        assert_eq!((&*server.host, server.port), ("ml-service", 80));
        let endpoint = Endpoint::new(server, "[::1]:80".parse().unwrap());
        let request = endpoint.request(&Question::get("/v2".into(), 1)).unwrap();
        assert_eq!(request.uri(), "http://[::1]:80/behind/v2");
        assert_eq!(request.headers()[HOST], "ml-service");
        assert_eq!(endpoint.shown("/v2"), "http://ml-service/behind/v2 ([::1]:80)");
        let server = server_of("http://[::1]:8000").unwrap();
        assert_eq!(server.host, "::1", "as it is looked up");
        let endpoint = Endpoint::new(Arc::new(server), "[::1]:8000".parse().unwrap());
        assert_eq!(endpoint.shown(""), "http://[::1]:8000", "the address is not said twice");
    }

    #[test]
    fn other_urls_are_refused_and_no_password_is_shown() {
        for url in ["", "localhost:8000", "/v2", "ftp://x", "http://", "http://x/?a=b", "http://a b"] {
            assert!(server_of(url).is_err(), "{url}");
        }
        assert!(server_of("https://x").unwrap_err().contains("TLS"));
        let error = Server::new("http://me:secret@host:1").unwrap_err().to_string();
        assert!(error.contains("http://…@host:1") && !error.contains("secret"), "{error}");
    }
}
