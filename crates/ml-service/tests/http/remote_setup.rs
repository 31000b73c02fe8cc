//! Fake servers that behave as they are told, and names that stand for many addresses.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use prometheus::{Registry, TextEncoder};
use pulse_core::Matrix;
use pulse_scoring::{RemoteMetrics, RemoteOptions, RemoteScorer, RemoteServer, Resolve, Resolving};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

/// A pause that no test outlives.
pub(crate) const NEVER: Duration = Duration::from_secs(3600);

/// A name that stands for what is set; while that is nothing, looking it up fails.
#[derive(Debug, Clone, Default)]
pub(crate) struct Name(Arc<Mutex<Vec<SocketAddr>>>);

impl Name {
    pub(crate) fn of(addresses: &[SocketAddr]) -> Self {
        let name = Self::default();
        name.set(addresses);
        name
    }

    pub(crate) fn set(&self, addresses: &[SocketAddr]) {
        *self.0.lock().unwrap() = addresses.to_vec();
    }
}

impl Resolve for Name {
    fn resolve<'a>(&'a self, _: &'a str, _: u16) -> Resolving<'a> {
        Box::pin(async {
            let addresses = self.0.lock().unwrap().clone();
            if addresses.is_empty() { Err(io::Error::other("no such name")) } else { Ok(addresses) }
        })
    }
}

/// A scorer of the addresses that `name` stands for, and its metrics.
pub(crate) async fn scorer(name: &Name, use_case: &str, options: RemoteOptions) -> (RemoteScorer, Registry) {
    let registry = Registry::new();
    let server = RemoteServer::new("http://ml-service:8000", options).unwrap();
    let server = server.resolved_by(name.clone()).measured_by(RemoteMetrics::new(&registry).unwrap());
    (server.scorer(use_case, |_| {}).await.unwrap().unwrap(), registry)
}

/// The value of `series`, as in `name{label="value"}`.
pub(crate) fn metric(registry: &Registry, series: &str) -> f64 {
    let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("no {series} in:\n{text}")).parse().unwrap()
}

/// Requests that had this outcome.
pub(crate) fn outcomes(registry: &Registry, outcome: &str) -> f64 {
    metric(registry, &format!("pulse_scorer_requests_total{{outcome=\"{outcome}\"}}"))
}

/// Addresses in this state.
pub(crate) fn addresses(registry: &Registry, state: &str) -> f64 {
    metric(registry, &format!("pulse_scorer_addresses{{state=\"{state}\"}}"))
}

/// Waits until `met` says so.
pub(crate) async fn until(what: &str, mut met: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !met().await {
        assert!(started.elapsed() < Duration::from_secs(60), "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

type Behaviour = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Response> + Send>> + Send + Sync>;

/// A server of version 1 of the model `x`, of one column; what it answers to a request for two scores can be set.
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    asked: Arc<AtomicUsize>,
    behaviour: Arc<Mutex<Behaviour>>,
    runtime: OwnRuntime,
}

impl Fake {
    /// One that behaves, at the loopback address that ends with `host`.
    pub(crate) async fn start(host: u8) -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, host], 0))).await
    }

    pub(crate) async fn start_at(address: SocketAddr) -> Self {
        let (asked, behaviour) =
            (Arc::<AtomicUsize>::default(), Arc::new(Mutex::new(always(|| good().into_response()))));
        let (counter, current) = (Arc::clone(&asked), Arc::clone(&behaviour));
        let router = Router::new().fallback(async move |method: Method, uri: Uri| match uri.path() {
            "/v2/models/x" => axum::Json(metadata()).into_response(),
            "/v2/models/x/versions/1/ready" => axum::Json(json!({"name": "x", "ready": true})).into_response(),
            "/v2/models/x/versions/1/infer" if method == Method::POST => {
                counter.fetch_add(1, Ordering::Relaxed);
                let answer = current.lock().unwrap()();
                answer.await
            }
            _ => error(404),
        });
        let runtime = OwnRuntime::start();
        let listening = runtime.spawn(TcpListener::bind(address));
        let listener = listening.await.unwrap().unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(axum::serve(listener, router).into_future());
        Self { address, asked, behaviour, runtime }
    }

    /// Answers like that from now on.
    pub(crate) fn answers(&self, behaviour: impl Fn() -> Response + Send + Sync + 'static) {
        *self.behaviour.lock().unwrap() = always(behaviour);
    }

    /// Answers as it should, once `after` is over.
    pub(crate) fn answers_after(&self, after: Duration) {
        *self.behaviour.lock().unwrap() = Arc::new(move || {
            Box::pin(async move {
                tokio::time::sleep(after).await;
                good().into_response()
            })
        });
    }

    /// Requests for scores so far.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// Ends, with all connections.
    pub(crate) async fn kill(&mut self) {
        self.runtime.kill().await;
    }
}

/// A runtime apart, so that all that runs there can end at once, as in a process that is killed.
pub(crate) struct OwnRuntime(Option<Runtime>);

impl OwnRuntime {
    pub(crate) fn start() -> Self {
        Self(Some(tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()))
    }

    pub(crate) fn spawn<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.0.as_ref().unwrap().spawn(task)
    }

    /// Ends what runs there, wherever it stands.
    pub(crate) async fn kill(&mut self) {
        let runtime = self.0.take().unwrap();
        tokio::task::spawn_blocking(move || runtime.shutdown_timeout(Duration::from_secs(30))).await.unwrap();
    }
}

impl Drop for OwnRuntime {
    fn drop(&mut self) {
        self.0.take().into_iter().for_each(Runtime::shutdown_background);
    }
}

fn always(behaviour: impl Fn() -> Response + Send + Sync + 'static) -> Behaviour {
    Arc::new(move || Box::pin(std::future::ready(behaviour())))
}

pub(crate) fn metadata() -> Value {
    let parameters = json!({"columns": ["a"], "version": "1", "threshold": 0.6, "highest": 0.7});
    json!({"name": "x", "versions": ["1"], "platform": "", "inputs": [], "outputs": [], "parameters": parameters})
}

/// What two rows score.
pub(crate) const SCORES: [f64; 2] = [0.1, 0.2];

/// The answer for two rows.
pub(crate) fn good() -> axum::Json<Value> {
    let outputs = json!([
        {"name": "score", "datatype": "FP64", "shape": [2], "data": SCORES},
        {"name": "explained", "datatype": "INT64", "shape": [0], "data": []},
        {"name": "contributions", "datatype": "FP64", "shape": [0, 1], "data": []},
    ]);
    let parameters = json!({"threshold": 0.6, "highest": 0.7});
    axum::Json(json!({"model_name": "x", "model_version": "1", "parameters": parameters, "outputs": outputs}))
}

/// An error as the protocol has it.
pub(crate) fn error(status: u16) -> Response {
    (StatusCode::from_u16(status).unwrap(), axum::Json(json!({"error": "as I say"}))).into_response()
}

/// The rows that are scored.
pub(crate) fn two_rows() -> Matrix {
    let mut rows = Matrix::with_capacity(1, 2);
    (0..2).for_each(|i| rows.push(&[f64::from(i)]));
    rows
}
