//! The remote scorer against the service, over a real listener.

use std::net::SocketAddr;
use std::sync::Arc;

use prometheus::Registry;
use pulse_core::ports::{Scorer as _, Scores};
use pulse_core::use_case::{ForestKind, ForestSettings};
use pulse_core::{Classify as _, ErrorClass, Matrix};
use pulse_ml_service::{Limits, Management, MlService, ModelSlot, RunError, run};
use pulse_runtime::Health;
use pulse_scoring::{
    EventualScorer, LocalScorer, Model, RemoteError, RemoteMetrics, RemoteOptions, RemoteScorer, RemoteServer,
    WithoutModel,
};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::fixture::{RIDES, rides, trained};
use crate::remote_setup::{metric, until};

/// A service that listens, until it is dropped.
pub(crate) struct Serving {
    url: String,
    pub(crate) address: SocketAddr,
    pub(crate) metrics: Registry,
    running: JoinHandle<Result<(), RunError>>,
    stop: DropGuard,
}

async fn serve(slot: ModelSlot, limits: Limits) -> Serving {
    serve_at(([127, 0, 0, 1], 0).into(), slot, limits).await
}

pub(crate) async fn serve_at(address: SocketAddr, slot: ModelSlot, limits: Limits) -> Serving {
    let metrics = Registry::new();
    let service =
        MlService::new(vec![rides(slot)], limits, Management::Open, metrics.clone(), Health::starting("waiting"))
            .unwrap();
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn(run(listener, service, stop.clone()));
    Serving { url: format!("http://{address}"), address, metrics, running, stop: stop.drop_guard() }
}

impl Serving {
    pub(crate) async fn stop(self) -> SocketAddr {
        drop(self.stop);
        self.running.await.unwrap().unwrap();
        self.address
    }
}

async fn connect(url: &str) -> RemoteScorer {
    RemoteScorer::connect(url, "rides", RemoteOptions::default(), |_| {}).await.unwrap().unwrap()
}

/// Rides of all kinds, some of them odd, some with missing values, infinite ones and huge ones.
pub(crate) fn many_rows(count: u32) -> Matrix {
    let mut rows = Matrix::with_capacity(3, count as usize);
    for i in 0..count {
        let spread = f64::from(i.wrapping_mul(2_654_435_761) >> 16) / 65_536.0;
        let odd = match i % 97 {
            0 => f64::NAN,
            1 => 1e300,
            2 => f64::NEG_INFINITY,
            3 => 4000.0,
            _ => 3.0 + 2.0 * spread,
        };
        rows.push(&[5.0 + 30.0 * spread, 1.0 + 9.0 * spread, odd]);
    }
    rows
}

/// Another model of these columns.
pub(crate) fn another(columns: &[&str]) -> Arc<Model> {
    let mut rows = Matrix::with_capacity(columns.len(), 200);
    (0..200).for_each(|i| rows.push(&vec![f64::from(i * 7 % 31); columns.len()]));
    let columns: Vec<String> = columns.iter().map(|&name| name.to_owned()).collect();
    let settings = ForestSettings {
        features: None,
        kind: ForestKind::Plain,
        trees: 20,
        sample_size: 64,
        seed: 5,
        expected_rate: 0.05,
        threshold: None,
        decides: true,
    };
    Arc::new(Model::train(&rows, &columns, &settings).unwrap())
}

#[tokio::test]
async fn it_scores_as_the_local_one_to_the_last_bit() {
    let slot = trained(&RIDES);
    let local = LocalScorer::new(slot.model().unwrap());
    // Four rows a request at the most: the larger batches take many.
    for limits in [Limits::default(), Limits { batch_rows: 4, ..Limits::default() }] {
        let serving = serve(slot.clone(), limits).await;
        let remote = connect(&serving.url).await;
        assert_eq!(remote.columns(), local.columns());
        for count in [0, 1, 4, 5, 63, 500] {
            let rows = many_rows(count);
            let scores = remote.score(&rows).await.unwrap();
            assert_eq!(scores, local.score(&rows).await.unwrap());
            assert!(count < 100 || !scores.contributions.is_empty());
        }
        let error = remote.score(&Matrix::with_capacity(2, 0)).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Fatal);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_calls_may_run_at_once() {
    let slot = trained(&RIDES);
    let serving = serve(slot.clone(), Limits::default()).await;
    let remote = Arc::new(connect(&serving.url).await);
    let calls = (0..32).map(|i| {
        let (remote, local) = (Arc::clone(&remote), LocalScorer::new(slot.model().unwrap()));
        tokio::spawn(async move {
            let rows = many_rows(50 + i);
            assert_eq!(remote.score(&rows).await.unwrap(), local.score(&rows).await.unwrap());
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap();
    }
}

#[tokio::test]
async fn it_waits_for_a_model_and_says_what_for() {
    let slot = ModelSlot::warming_up("waiting for the sample");
    let serving = serve(slot.clone(), Limits::default()).await;
    let (told, mut reasons) = tokio::sync::mpsc::unbounded_channel();
    let url = serving.url.clone();
    let connecting = tokio::spawn(async move {
        let tell = move |reason: &str| told.send(reason.to_owned()).unwrap();
        RemoteScorer::connect(&url, "rides", RemoteOptions::default(), tell).await
    });
    let reason = reasons.recv().await.unwrap();
    assert!(reason.contains("there is no model yet: waiting for the sample"), "{reason}");
    slot.set(trained(&RIDES).model().unwrap());
    let scorer = connecting.await.unwrap().unwrap().unwrap();
    assert_eq!(scorer.version(), **slot.model().unwrap().version());
}

#[tokio::test]
async fn it_waits_for_the_service_itself() {
    let address = serve(trained(&RIDES), Limits::default()).await.stop().await;
    let (told, mut reasons) = tokio::sync::mpsc::unbounded_channel();
    let connecting = tokio::spawn(async move {
        let tell = move |reason: &str| told.send(reason.to_owned()).unwrap();
        RemoteScorer::connect(&format!("http://{address}"), "rides", RemoteOptions::default(), tell).await
    });
    assert!(reasons.recv().await.unwrap().contains("cannot be reached"));
    let _serving = serve_at(address, trained(&RIDES), Limits::default()).await;
    assert!(connecting.await.unwrap().unwrap().is_some());
}

#[tokio::test]
async fn no_model_ever_is_no_scorer_and_an_unknown_use_case_an_error() {
    let slot = ModelSlot::warming_up("reading the sample");
    slot.fail("use case rides has no sample.csv to train on");
    let serving = serve(slot, Limits::default()).await;
    let connect = |use_case| RemoteScorer::connect(&serving.url, use_case, RemoteOptions::default(), |_| {});
    assert!(connect("rides").await.unwrap().is_none());
    let error = connect("trips").await.unwrap_err();
    assert!(error.to_string().contains("USE_CASE=trips") && error.to_string().contains("there are: rides"), "{error}");
    assert_eq!(error.class(), ErrorClass::Fatal);
}

async fn eventual(url: &str, columns: &[&str], without: WithoutModel) -> (EventualScorer, Registry) {
    let columns = columns.iter().map(|&name| name.to_owned()).collect();
    let registry = Registry::new();
    let server = RemoteServer::new(url, RemoteOptions::default()).unwrap();
    let server = server.measured_by(RemoteMetrics::new(&registry).unwrap());
    (server.eventual_scorer("rides", columns, without, |_| {}).await.unwrap(), registry)
}

#[tokio::test]
async fn a_model_that_comes_later_is_taken_up() {
    let slot = ModelSlot::warming_up("waiting for the first events of rides");
    slot.make_optional();
    let serving = serve(slot.clone(), Limits::default()).await;
    let model = trained(&RIDES).model().unwrap();
    let columns: Vec<&str> = model.columns().iter().map(String::as_str).collect();
    let (scorer, metrics) = eventual(&serving.url, &columns, WithoutModel::LeaveUnscored).await;
    let (impatient, _) = eventual(&serving.url, &columns, WithoutModel::Fail).await;
    let (mistaken, mistaken_metrics) = eventual(&serving.url, &["other"], WithoutModel::Fail).await;
    let rows = many_rows(5);
    assert_eq!((scorer.columns(), scorer.version()), (model.columns(), None));
    assert_eq!(metric(&metrics, "pulse_scorer_has_model"), 0.0);
    assert_eq!(scorer.score(&rows).await.unwrap(), Scores::default());
    let error = impatient.score(&rows).await.unwrap_err();
    assert!(matches!(error, RemoteError::NoModel { .. }) && error.class() == ErrorClass::Retry, "{error}");

    slot.set(Arc::clone(&model));
    until("the model is taken up", async || scorer.version().is_some() && impatient.version().is_some()).await;
    let scores = LocalScorer::new(model).score(&rows).await.unwrap();
    assert_eq!(scorer.score(&rows).await.unwrap(), scores);
    assert_eq!(impatient.score(&rows).await.unwrap(), scores);
    assert_eq!(metric(&metrics, "pulse_scorer_has_model"), 1.0);
    // It is no model of this one's columns, which is said.
    let reason = async || mistaken.score(&rows).await.unwrap_err().to_string();
    until("the reason is known", async || reason().await.contains("where other were wanted before")).await;
    assert_eq!(metric(&mistaken_metrics, "pulse_scorer_has_model"), 0.0);
}

#[tokio::test]
async fn a_new_version_is_taken_where_it_wants_the_same_columns() {
    let slot = trained(&RIDES);
    let serving = serve(slot.clone(), Limits::default()).await;
    let remote = connect(&serving.url).await;
    remote.score(&many_rows(5)).await.unwrap();
    let next = another(&["fare", "trip.miles", "fare_per_mile"]);
    slot.set(Arc::clone(&next));
    assert_eq!(remote.score(&many_rows(500)).await.unwrap(), next.score(&many_rows(500)));
    assert_eq!(remote.version(), **next.version());

    slot.set(another(&["fare", "trip.miles", "tip"]));
    let error = remote.score(&many_rows(5)).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Fatal);
    assert!(matches!(&error, RemoteError::OtherColumns { .. }));
    assert!(error.to_string().contains("fare, trip.miles, tip") && error.to_string().contains("start"), "{error}");
}

#[tokio::test]
async fn a_service_that_is_away_is_tried_again() {
    let slot = trained(&RIDES);
    let serving = serve(slot.clone(), Limits::default()).await;
    let remote = connect(&serving.url).await;
    remote.score(&many_rows(5)).await.unwrap();
    let address = serving.stop().await;
    let error = remote.score(&many_rows(5)).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Retry, "{error}");
    let _serving = serve_at(address, slot, Limits::default()).await;
    remote.score(&many_rows(5)).await.unwrap();
}
