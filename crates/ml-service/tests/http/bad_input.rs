//! Every kind of bad request and its answer, as `docs/specs/bad-input.md` says it.

use axum::body::Body;
use axum::http::{Request, header};
use proptest::prelude::*;
use pulse_ml_service::{Limits, ModelSlot};

use crate::fixture::{Answer, RIDES, rides, send, service, trained};

const DOCUMENT: &str = include_str!("../../../../docs/specs/bad-input.md");
const JSON: Option<&str> = Some("application/json");

/// What a row is about, how the request is shown, its path, its content type and its body.
type Case = (&'static str, &'static str, &'static str, Option<&'static str>, Vec<u8>);

fn cases() -> Vec<Case> {
    let one = |what, body: &'static str| (what, body, "/predict", JSON, body.into());
    let many = |what, body: &'static str| (what, body, "/predict/batch", JSON, body.into());
    let kind = |what, kind: Option<&'static str>| {
        (what, kind.map_or("no Content-Type", |kind| kind), "/predict", kind, br#"{"fare":1}"#.to_vec())
    };
    vec![
        one("no body", ""),
        one("broken", r#"{"fare":1"#),
        one("not a number in JSON", r#"{"fare":NaN}"#),
        ("byte order mark", "EF BB BF, then `{}`", "/predict", JSON, "\u{feff}{}".into()),
        ("not UTF-8", "`{\"note\":\"` and the byte 0xFF", "/predict", JSON, b"{\"note\":\"\xff\"}".to_vec()),
        one("no object", "3"),
        one("a list", r#"[{"fare":1}]"#),
        one("fields at fault, all at once", r#"{"fare":-1,"trip":{"miles":"far"}}"#),
        one("no object around a field", r#"{"fare":1,"trip":7}"#),
        one("beyond 64-bit numbers", r#"{"fare":1e999,"trip":{"miles":1}}"#),
        one("NUL", r#"{"fare":1,"note":"\u0000"}"#),
        one("an entity at fault", r#"{"fare":1,"trip":{"miles":1},"zone":""}"#),
        one("a time at fault", r#"{"fare":1,"trip":{"miles":1},"at":"noon"}"#),
        ("too large", "a body of 2 KiB", "/predict", JSON, vec![b' '; 2048]),
        ("nested too deep", "40 arrays in each other", "/predict", JSON, deep(40)),
        ("nested far too deep", "500 arrays in each other", "/predict", JSON, deep(500)),
        many("a batch that is none", r#"{"events":[]}"#),
        many("too many events", "[{},{},{},{}]"),
        many("faulty events in a batch", r#"[{"fare":1,"trip":{"miles":1}},3,{}]"#),
        kind("another type", Some("text/plain")),
        kind("no type", None),
        ("a use case that is not there", "`/predict/flights`", "/predict/flights", JSON, b"{}".to_vec()),
    ]
}

fn deep(levels: usize) -> Vec<u8> {
    format!(r#"{{"fare":1,"note":{}{}}}"#, "[".repeat(levels), "]".repeat(levels)).into_bytes()
}

async fn answer(router: &axum::Router, (_, _, path, kind, body): &Case) -> Answer {
    let request = Request::post(*path);
    let request = kind.iter().fold(request, |request, kind| request.header(header::CONTENT_TYPE, *kind));
    send(router, request.body(Body::from(body.clone())).unwrap()).await
}

fn router() -> axum::Router {
    let limits = Limits { body_bytes: 2000, batch_rows: 3, ..Limits::default() };
    service(vec![rides(trained(&RIDES))], limits).router()
}

#[tokio::test]
async fn the_document_says_what_is_answered() {
    let router = router();
    let mut table = "| what | request | status | type, detail |\n|---|---|---|---|\n".to_owned();
    for case in cases() {
        let answer = answer(&router, &case).await;
        let status = answer.status.as_u16();
        let said = if status == 200 {
            let errors = answer.json()["invalid"].as_u64().unwrap();
            format!("{errors} with `errors`, the others with their verdicts")
        } else {
            let problem = answer.problem(status);
            let kind = problem["type"].as_str().unwrap().replace("urn:pulse:problem:", "");
            format!("`{kind}`: {}", problem["detail"].as_str().unwrap())
        };
        let (what, shown, ..) = case;
        let shown = if shown.starts_with(['{', '[']) { format!("`{shown}`") } else { shown.to_owned() };
        table.push_str(&format!("| {what} | {shown} | {status} | {} |\n", said.replace('|', "\\|")));
    }
    let documented = DOCUMENT.split("<!-- predict -->\n").nth(1).unwrap().split("<!-- end -->").next().unwrap();
    assert!(table == documented, "docs/specs/bad-input.md is not up to date; the table is now:\n{table}");
}

#[tokio::test]
async fn without_a_model_even_a_bad_event_is_told_to_wait() {
    let router = service(vec![rides(ModelSlot::warming_up("waiting"))], Limits::default()).router();
    let case = ("", "", "/predict", JSON, b"{}".to_vec());
    answer(&router, &case).await.problem(503);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Arbitrary bodies are refused as the caller's fault, or answered: never ours.
    #[test]
    fn no_body_is_our_fault(body in prop::collection::vec(any::<u8>(), 0..100), text in r#"[\[\]{}:,"a-z0-9.e-]{0,60}"#) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let router = crate::fixture::router();
        for body in [body, text.into_bytes()] {
            for path in ["/predict", "/predict/batch"] {
                let answer = runtime.block_on(answer(&router, &("", "", path, JSON, body.clone())));
                prop_assert!(!answer.status.is_server_error(), "{}", answer.text);
            }
        }
    }
}

#[tokio::test]
async fn a_path_that_is_no_text_is_a_problem_like_any_other() {
    let router = router();
    let ask = |path: &str| Request::post(path).header(header::CONTENT_TYPE, "application/json").body(Body::from("{}"));
    assert_eq!(send(&router, ask("/predict/%FF").unwrap()).await.problem(400)["type"], "urn:pulse:problem:broken-path");
    let answer = send(&router, ask("/v2/models/%FF/infer").unwrap()).await;
    assert_eq!((answer.status.as_u16(), answer.json()["error"].is_string()), (400, true), "{}", answer.text);
}
