//! Several real ML services behind one name: all are used, and which one answers changes nothing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;
use pulse_core::ports::Scorer as _;
use pulse_core::{Classify as _, ErrorClass};
use pulse_ml_service::{Limits, ModelSlot};
use pulse_scoring::{LocalScorer, RemoteOptions};
use tokio_util::sync::CancellationToken;

use crate::fixture::{RIDES, trained};
use crate::remote::{Serving, another, many_rows, serve_at};
use crate::remote_setup::{NEVER, Name, OwnRuntime, addresses, metric, outcomes, scorer, until};

/// What is left is asked again soon. A version is waited for as long as somebody may have it.
const OPTIONS: RemoteOptions = RemoteOptions {
    connect_time: Duration::from_secs(30),
    attempt_time: Duration::from_secs(30),
    request_time: Duration::from_secs(60),
    max_rows: 64,
    resolve_every: NEVER,
    first_pause: Duration::from_millis(10),
    longest_pause: Duration::from_millis(50),
    version_time: NEVER,
};
const COLUMNS: [&str; 3] = ["fare", "trip.miles", "fare_per_mile"];

/// An ML service that can be killed.
struct Replica {
    serving: Serving,
    runtime: OwnRuntime,
}

impl Replica {
    /// Starts one at the loopback address that ends with `host`.
    async fn start(host: u8, slot: ModelSlot) -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, host], 0)), slot).await
    }

    async fn start_at(address: SocketAddr, slot: ModelSlot) -> Self {
        let runtime = OwnRuntime::start();
        let serving = runtime.spawn(serve_at(address, slot, Limits::default())).await.unwrap();
        Self { serving, runtime }
    }

    fn address(&self) -> SocketAddr {
        self.serving.address
    }

    fn scored(&self) -> f64 {
        scored(&self.serving.metrics)
    }

    /// Ends as a process does that is killed; gives back its address.
    async fn kill(mut self) -> SocketAddr {
        self.runtime.kill().await;
        self.serving.address
    }

    /// Ends once it has answered what it was asked.
    async fn stop(mut self) -> SocketAddr {
        let address = self.serving.stop().await;
        self.runtime.kill().await;
        address
    }
}

fn scored(metrics: &Registry) -> f64 {
    metric(metrics, "pulse_ml_scored_rows_total{use_case=\"rides\"}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_dies_in_the_middle_and_no_score_is_lost_or_different() {
    let slot = trained(&RIDES);
    let (stays, dies) = (Replica::start(1, slot.clone()).await, Replica::start(2, slot.clone()).await);
    let name = Name::of(&[stays.address(), dies.address()]);
    let (remote, metrics) = scorer(&name, "rides", OPTIONS).await;
    let (remote, dead) = (Arc::new(remote), CancellationToken::new());
    let workers: Vec<_> = (0..4)
        .map(|worker| {
            let (remote, dead, slot) = (Arc::clone(&remote), dead.clone(), slot.clone());
            tokio::spawn(async move {
                let local = LocalScorer::new(slot.model().unwrap());
                let mut after = 0;
                for call in 0.. {
                    // Some take several requests.
                    let rows = many_rows(20 + 50 * worker + call % 50);
                    assert_eq!(remote.score(&rows).await.unwrap(), local.score(&rows).await.unwrap());
                    after += u32::from(dead.is_cancelled());
                    if after == 10 {
                        break;
                    }
                }
            })
        })
        .collect();
    until("both are used", async || stays.scored() > 0.0 && dies.scored() > 0.0).await;
    let address = dies.kill().await;
    dead.cancel();
    for worker in workers {
        worker.await.unwrap();
    }
    assert!(
        (1.0..=4.0).contains(&outcomes(&metrics, "unreachable")),
        "one for each call that it was to answer at most"
    );
    // One that comes back is used again.
    let back = Replica::start_at(address, slot).await;
    until("both are used again", async || {
        remote.score(&many_rows(10)).await.unwrap();
        back.scored() > 0.0
    })
    .await;
    assert_eq!(addresses(&metrics, "open"), 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_those_with_the_version_in_use_are_asked() {
    let (slot, other) = (trained(&RIDES), ModelSlot::ready(another(&COLUMNS)));
    let (first, second) = (Replica::start(1, slot.clone()).await, Replica::start(2, other).await);
    let name = Name::of(&[first.address(), second.address()]);
    let (remote, _) = scorer(&name, "rides", OPTIONS).await;
    let expected = slot.model().unwrap().score(&many_rows(10));
    for _ in 0..20 {
        assert_eq!(remote.score(&many_rows(10)).await.unwrap(), expected);
    }
    // That one of them is away for a moment is no reason to judge by another model.
    let address = first.stop().await;
    for _ in 0..3 {
        assert_eq!(remote.score(&many_rows(10)).await.unwrap_err().class(), ErrorClass::Retry);
    }
    let _first = Replica::start_at(address, slot).await;
    assert_eq!(remote.score(&many_rows(10)).await.unwrap(), expected);
    assert_eq!(second.scored(), 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_version_is_taken_once_nobody_has_the_one_in_use() {
    let (slot, other) = (trained(&RIDES), ModelSlot::ready(another(&COLUMNS)));
    let (first, second) = (Replica::start(1, slot.clone()).await, Replica::start(2, slot.clone()).await);
    let (remote, metrics) = scorer(&Name::of(&[first.address(), second.address()]), "rides", OPTIONS).await;
    let before = slot.model().unwrap().score(&many_rows(10));
    let after = other.model().unwrap().score(&many_rows(10));
    // One after the other is replaced, as in a rolling update.
    let first = Replica::start_at(first.stop().await, other.clone()).await;
    for _ in 0..20 {
        assert_eq!(remote.score(&many_rows(10)).await.unwrap(), before);
    }
    assert_eq!(first.scored(), 0.0);
    let second = Replica::start_at(second.stop().await, other).await;
    for _ in 0..20 {
        assert_eq!(remote.score(&many_rows(10)).await.unwrap(), after);
    }
    assert!(first.scored() > 0.0 && second.scored() > 0.0 && outcomes(&metrics, "gone") > 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_never_answered_holds_no_version_back() {
    let (slot, other) = (trained(&RIDES), another(&COLUMNS));
    let nobody = Replica::start(1, slot.clone()).await.stop().await;
    let replica = Replica::start(2, slot.clone()).await;
    // As `localhost` has two addresses where one is listened on.
    let (remote, metrics) = scorer(&Name::of(&[nobody, replica.address()]), "rides", OPTIONS).await;
    remote.score(&many_rows(10)).await.unwrap();
    slot.set(Arc::clone(&other));
    assert_eq!(remote.score(&many_rows(10)).await.unwrap(), other.score(&many_rows(10)));
    assert_eq!((addresses(&metrics, "new"), addresses(&metrics, "open")), (1.0, 0.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_is_not_waited_for_without_end() {
    let options = RemoteOptions { version_time: Duration::from_millis(50), ..OPTIONS };
    let (slot, other) = (trained(&RIDES), ModelSlot::ready(another(&COLUMNS)));
    let (first, second) = (Replica::start(1, slot).await, Replica::start(2, other.clone()).await);
    let (remote, _) = scorer(&Name::of(&[first.address(), second.address()]), "rides", options).await;
    remote.score(&many_rows(10)).await.unwrap();
    first.stop().await;
    let expected = other.model().unwrap().score(&many_rows(10));
    until("the version of the one that is left", async || {
        remote.score(&many_rows(10)).await.is_ok_and(|scores| scores == expected)
    })
    .await;
    assert!(second.scored() > 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_has_a_model_is_enough_to_begin() {
    let (slot, warming) = (trained(&RIDES), ModelSlot::warming_up("waiting for the sample"));
    let hopeless = ModelSlot::warming_up("waiting");
    hopeless.fail("there is no sample");
    let ready = Replica::start(2, slot.clone()).await;
    for late in [warming, hopeless] {
        let late_one = Replica::start(1, late.clone()).await;
        let (remote, _) = scorer(&Name::of(&[late_one.address(), ready.address()]), "rides", OPTIONS).await;
        remote.score(&many_rows(10)).await.unwrap();
        late.set(slot.model().unwrap());
        until("the late one is used", async || {
            remote.score(&many_rows(10)).await.unwrap();
            late_one.scored() > 0.0
        })
        .await;
    }
}
