//! Replicas that fail, each in its own way: the rows of `docs/specs/scorer.md`.

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use pulse_core::ports::Scorer as _;
use pulse_core::{Classify as _, ErrorClass};
use pulse_scoring::oip::HEADER_LENGTH;
use pulse_scoring::{RemoteError, RemoteOptions};
use serde_json::{Value, json};

use crate::remote_setup::{
    Fake, NEVER, Name, SCORES, addresses, error, good, metric, outcomes, scorer, two_rows, until,
};

/// What is left stays so, and nothing is looked up but when it has to be.
const PATIENT: RemoteOptions = RemoteOptions {
    connect_time: Duration::from_secs(30),
    attempt_time: Duration::from_secs(30),
    request_time: Duration::from_secs(60),
    max_rows: 100,
    resolve_every: NEVER,
    first_pause: NEVER,
    longest_pause: NEVER,
    version_time: NEVER,
};
/// What is left is asked again soon.
const SOON: RemoteOptions =
    RemoteOptions { first_pause: Duration::from_millis(10), longest_pause: Duration::from_millis(50), ..PATIENT };
/// One that is slow is soon left.
const HASTY: RemoteOptions = RemoteOptions { attempt_time: Duration::from_secs(1), ..PATIENT };

/// The answer for two rows, but for what `damage` does to it.
fn damaged(damage: impl FnOnce(&mut Value)) -> Response {
    let mut answer = good();
    damage(&mut answer.0);
    answer.into_response()
}

fn endless() -> Response {
    Body::from_stream(stream::repeat_with(|| Ok::<_, std::io::Error>([b' '; 4096].as_slice()))).into_response()
}

/// Says that more will come, and breaks off.
fn torn() -> Response {
    let part = [Ok(&b"{"[..]), Err(std::io::Error::other("torn"))];
    ([(header::CONTENT_LENGTH, "100")], Body::from_stream(stream::iter(part))).into_response()
}

type Answer = fn() -> Response;

/// Each way to fail: what it is counted as, and what the scorer's caller may do when all addresses fail like that.
fn ways_to_fail() -> [(Answer, &'static str, ErrorClass); 18] {
    use ErrorClass::{Fatal, Retry};
    [
        (|| error(500), "unavailable", Retry),
        (|| error(503), "unavailable", Retry),
        (|| error(429), "unavailable", Retry),
        (|| error(408), "unavailable", Retry),
        (|| (axum::http::StatusCode::NOT_FOUND, "starting").into_response(), "unavailable", Retry),
        (|| error(400), "refused", Fatal),
        (|| error(401), "refused", Fatal),
        (|| error(413), "refused", Fatal),
        (|| error(422), "refused", Fatal),
        (|| error(302), "refused", Fatal),
        (torn, "unreachable", Retry),
        (endless, "nonsense", Retry),
        (|| "<html>".into_response(), "nonsense", Retry),
        (|| ([(HEADER_LENGTH, "7")], "{}").into_response(), "nonsense", Retry),
        (|| damaged(|answer| answer["model_version"] = json!("2")), "nonsense", Retry),
        (|| damaged(|answer| answer["outputs"][0]["data"] = json!([0.1, null])), "nonsense", Retry),
        (|| damaged(|answer| answer["outputs"][0]["data"] = json!([0.1])), "nonsense", Retry),
        (
            || {
                damaged(|answer| {
                    answer["outputs"][0] = json!({"name": "score", "datatype": "FP64", "shape": [1], "data": [0.1]});
                })
            },
            "nonsense",
            Retry,
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_fails_is_left_and_another_answers() {
    for (way, outcome, _) in ways_to_fail() {
        let (fine, broken) = (Fake::start(1).await, Fake::start(2).await);
        broken.answers(way);
        let (scorer, metrics) = scorer(&Name::of(&[fine.address, broken.address]), "x", PATIENT).await;
        assert_eq!(addresses(&metrics, "closed"), 2.0);
        for _ in 0..4 {
            assert_eq!(scorer.score(&two_rows()).await.unwrap().scores, SCORES, "{outcome}");
        }
        assert_eq!((fine.asked(), broken.asked()), (4, 1), "{outcome}: left at once, and the request not lost");
        assert_eq!((outcomes(&metrics, "answered"), outcomes(&metrics, outcome)), (4.0, 1.0), "{outcome}");
        assert_eq!((addresses(&metrics, "closed"), addresses(&metrics, "open")), (1.0, 1.0), "{outcome}");
        assert_eq!(metric(&metrics, "pulse_scorer_requests_in_flight"), 0.0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_all_fail_the_caller_learns_whether_to_wait() {
    for (way, outcome, class) in ways_to_fail() {
        let fakes = [Fake::start(1).await, Fake::start(2).await];
        fakes.iter().for_each(|fake| fake.answers(way));
        let (scorer, metrics) = scorer(&Name::of(&fakes.each_ref().map(|fake| fake.address)), "x", PATIENT).await;
        for asked in 1..=2 {
            let error = scorer.score(&two_rows()).await.unwrap_err();
            assert_eq!(error.class(), class, "{error:?}");
            assert!(matches!(&error, RemoteError::NoneAnswers { addresses: 2, .. }), "{error:?}");
            assert_eq!(fakes.each_ref().map(Fake::asked), [asked; 2], "none works, so all are asked");
        }
        assert_eq!((outcomes(&metrics, outcome), addresses(&metrics, "open")), (4.0, 2.0), "{outcome}");
        // One that can do better is enough.
        fakes[1].answers(|| good().into_response());
        assert_eq!(scorer.score(&two_rows()).await.unwrap().scores, SCORES);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_refusal_is_no_reason_to_end() {
    let (refusing, mut dead) = (Fake::start(1).await, Fake::start(2).await);
    refusing.answers(|| error(400));
    let (scorer, _) = scorer(&Name::of(&[refusing.address, dead.address]), "x", PATIENT).await;
    dead.kill().await;
    let error = scorer.score(&two_rows()).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Retry, "the other one may take it: {error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_dead_is_left_and_asked_again_when_it_is_back() {
    let (fine, mut dying) = (Fake::start(1).await, Fake::start(2).await);
    let address = dying.address;
    let (scorer, metrics) = scorer(&Name::of(&[fine.address, address]), "x", SOON).await;
    dying.kill().await;
    until("it is left", async || {
        assert_eq!(scorer.score(&two_rows()).await.unwrap().scores, SCORES);
        addresses(&metrics, "open") == 1.0
    })
    .await;
    assert_eq!(outcomes(&metrics, "unreachable"), 1.0);
    let back = Fake::start_at(address).await;
    until("it is asked again", async || {
        assert_eq!(scorer.score(&two_rows()).await.unwrap().scores, SCORES);
        back.asked() > 1 && addresses(&metrics, "closed") == 2.0
    })
    .await;
    assert_eq!(outcomes(&metrics, "unreachable"), 1.0, "none of the requests found out whether it is back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_only_ready_gets_few_requests() {
    let (fine, broken) = (Fake::start(1).await, Fake::start(2).await);
    broken.answers(|| error(500));
    let (scorer, metrics) = scorer(&Name::of(&[fine.address, broken.address]), "x", SOON).await;
    until("it is tried several times", async || {
        assert_eq!(scorer.score(&two_rows()).await.unwrap().scores, SCORES);
        broken.asked() > 3
    })
    .await;
    assert_eq!(outcomes(&metrics, "unavailable"), broken.asked() as f64);
    broken.answers(|| good().into_response());
    until("it answers", async || {
        assert_eq!(scorer.score(&two_rows()).await.unwrap().scores, SCORES);
        addresses(&metrics, "closed") == 2.0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_hangs_is_left_after_a_while() {
    let (fine, hanging) = (Fake::start(1).await, Fake::start(2).await);
    hanging.answers_after(NEVER);
    let (scorer, metrics) = scorer(&Name::of(&[fine.address, hanging.address]), "x", HASTY).await;
    let started = Instant::now();
    for _ in 0..4 {
        assert_eq!(scorer.score(&two_rows()).await.unwrap().scores, SCORES);
    }
    assert!((HASTY.attempt_time..HASTY.request_time).contains(&started.elapsed()));
    assert_eq!((outcomes(&metrics, "timeout"), hanging.asked(), addresses(&metrics, "open")), (1.0, 1, 1.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_one_is_waited_for_where_there_is_no_other() {
    let slow = Fake::start(1).await;
    slow.answers_after(2 * HASTY.attempt_time);
    let (scorer, metrics) = scorer(&Name::of(&[slow.address]), "x", HASTY).await;
    assert_eq!(scorer.score(&two_rows()).await.unwrap().scores, SCORES);
    assert_eq!((slow.asked(), outcomes(&metrics, "timeout")), (1, 0.0), "what it has begun is not thrown away");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_ends_whoever_is_asked() {
    let options = RemoteOptions { request_time: 2 * HASTY.attempt_time, ..HASTY };
    let fakes = [Fake::start(1).await, Fake::start(2).await];
    fakes.iter().for_each(|fake| fake.answers_after(NEVER));
    let (scorer, metrics) = scorer(&Name::of(&fakes.each_ref().map(|fake| fake.address)), "x", options).await;
    let error = scorer.score(&two_rows()).await.unwrap_err();
    assert_eq!((error.class(), outcomes(&metrics, "timeout")), (ErrorClass::Retry, 2.0), "{error:?}");
    assert_eq!(metric(&metrics, "pulse_scorer_requests_in_flight"), 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_name_is_looked_up_at_once_when_none_works() {
    let (mut first, second) = (Fake::start(1).await, Fake::start(2).await);
    let name = Name::of(&[first.address]);
    let (scorer, metrics) = scorer(&name, "x", PATIENT).await;
    first.kill().await;
    name.set(&[second.address]);
    assert_eq!(scorer.score(&two_rows()).await.unwrap().scores, SCORES, "the same call");
    assert_eq!((addresses(&metrics, "closed"), addresses(&metrics, "open")), (1.0, 0.0), "the dead one is forgotten");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_addresses_are_found_and_a_name_that_fails_is_waited_out() {
    let options = RemoteOptions { resolve_every: Duration::from_millis(10), ..SOON };
    let (first, second) = (Fake::start(1).await, Fake::start(2).await);
    let name = Name::of(&[first.address]);
    let (scorer, metrics) = scorer(&name, "x", options).await;
    name.set(&[]);
    until("a lookup fails", async || metric(&metrics, "pulse_scorer_lookup_failures_total") > 0.0).await;
    assert_eq!(scorer.score(&two_rows()).await.unwrap().scores, SCORES, "what is known is still asked");
    name.set(&[first.address, second.address]);
    until("the new one is asked", async || {
        assert_eq!(scorer.score(&two_rows()).await.unwrap().scores, SCORES);
        second.asked() > 0
    })
    .await;
    assert!(first.asked() > 0 && outcomes(&metrics, "answered") >= 2.0);
}
