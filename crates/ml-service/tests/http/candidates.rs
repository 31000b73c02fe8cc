//! A candidate beside the model in force, and drift.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use pulse_features::UseCaseDir;
use pulse_ml_service::{Limits, Management, MlService, ModelSlot, Registry, ServedUseCase, follow, load_or_train};
use pulse_runtime::{Health, Secret};
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::fixture::{get, post, send};
use crate::models::{pumps, store};

/// A service whose versions are followed.
struct Followed {
    router: Router,
    versions: [String; 2],
    dir: UseCaseDir,
    folder: tempfile::TempDir,
    _stop: DropGuard,
}

/// Two versions, of which the first one is in force.
fn followed() -> Followed {
    with(Management::Open)
}

fn with(management: Management) -> Followed {
    let (folder, dir) = pumps();
    let versions = [0, 1].map(|kind| store(folder.path(), &dir, kind));
    Registry::new(&dir).unwrap().activate(&versions[0], None).unwrap();
    let slot = ModelSlot::warming_up("waiting");
    load_or_train(&dir, &slot).unwrap();
    let served = ServedUseCase::new(&dir, None, slot).unwrap();
    let stop = CancellationToken::new();
    tokio::spawn(follow(served.clone(), stop.clone()));
    let (metrics, health) = (prometheus::Registry::new(), Health::starting("waiting"));
    let service = MlService::new(vec![served], Limits::default(), management, metrics, health).unwrap();
    Followed { router: service.router(), versions, dir, folder, _stop: stop.drop_guard() }
}

impl Followed {
    fn path(&self, version: usize, verb: &str) -> String {
        format!("/models/pumps/{}/{verb}", self.versions[version])
    }

    async fn delete(&self, path: &str) -> crate::fixture::Answer {
        let request = Request::delete(path).header("authorization", "Bearer hunter2");
        send(&self.router, request.body(Body::empty()).unwrap()).await
    }

    /// What is listed of a version.
    async fn listed(&self, version: usize) -> Value {
        let models = get(&self.router, "/models").await.json();
        let models = models["models"].as_array().unwrap().clone();
        models.into_iter().find(|model| model["version"] == self.versions[version]).unwrap()
    }

    async fn until(&self, version: usize, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..400 {
            let listed = self.listed(version).await;
            if holds(&listed) {
                return listed;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("never: {what}: {}", self.listed(version).await);
    }

    /// Asks about so many rows, one by one, in a batch, and as columns.
    async fn ask(&self, rows: usize) {
        let event = |i: usize| json!({"load": i * 7919 % 101, "flow": if i.is_multiple_of(40) { 5000 } else { i * 104_729 % 103 }});
        let batch: Vec<Value> = (0..rows).map(event).collect();
        let answer = post(&self.router, "/predict/batch", json!(batch).to_string()).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
}

fn count(metrics: &str, name: &str) -> f64 {
    let line = metrics.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name} in {metrics}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_candidate_scores_beside_the_model_in_force_and_changes_no_answer() {
    let it = followed();
    let set = post(&it.router, &it.path(1, "candidate"), "").await;
    assert_eq!((set.status.as_u16(), &set.json()["candidate"]), (200, &json!(true)), "{}", set.text);
    it.ask(2000).await;
    let one = post(&it.router, "/predict", json!({"load": 3, "flow": 5000}).to_string()).await.json();
    assert_eq!(one["model_version"], it.versions[0], "the one in force answers");
    let row = json!({"inputs": [{"name": "rows", "shape": [1, 2], "datatype": "FP64", "data": [3.0, 5000.0]}]});
    let infer = post(&it.router, "/v2/models/pumps/infer", row.to_string()).await;
    assert_eq!(infer.status, 200, "{}", infer.text);

    let listed = it.until(1, "all rows compared", |listed| listed["shadow"]["rows"] == 2002).await;
    let shadow = &listed["shadow"];
    assert_eq!((&listed["active"], &listed["candidate"]), (&json!(false), &json!(true)));
    assert!(shadow["both_anomalies"].as_u64().unwrap() > 0, "{shadow}");
    assert!(shadow["mean_score_difference"].as_f64().unwrap() > 0.0, "another forest: {shadow}");
    let metrics = get(&it.router, "/metrics").await.text;
    let of = |name: &str, rest: &str| {
        let version = &it.versions[1];
        count(&metrics, &format!("{name}{{use_case=\"pumps\",{rest}version=\"{version}\"}}"))
    };
    let verdicts = ["both_anomalies", "only_active", "only_candidate", "neither"];
    let sum: f64 = verdicts.map(|v| of("pulse_ml_shadow_rows_total", &format!("verdicts=\"{v}\","))).iter().sum();
    assert_eq!(sum, 2002.0);
    assert_eq!(of("pulse_ml_shadow_score_difference_ratio_count", ""), 2002.0);
    assert_eq!(of("pulse_ml_shadow_skipped_rows_total", ""), 0.0);

    assert_eq!(it.delete("/models/pumps/candidate").await.status.as_u16(), 204);
    assert!(!get(&it.router, "/metrics").await.text.contains("pulse_ml_shadow_rows_total"));
    assert_eq!(it.listed(1).await["candidate"], false);
}

#[tokio::test]
async fn what_a_command_line_makes_a_candidate_is_followed_and_ends_in_force() {
    let it = followed();
    let registry = Registry::new(&it.dir).unwrap();
    registry.set_candidate(Some(&it.versions[1]), None).unwrap();
    it.until(1, "a candidate", |listed| listed["candidate"] == true && listed["shadow"]["rows"] == 0).await;
    registry.activate(&it.versions[1], None).unwrap();
    let listed = it.until(1, "in force", |listed| listed["active"] == true && listed["candidate"] == false).await;
    assert_eq!(listed["shadow"], Value::Null);
    assert_eq!(registry.standing().unwrap().candidate, None);
}

#[tokio::test]
async fn what_cannot_be_a_candidate_is_refused() {
    let it = followed();
    let refused = post(&it.router, &it.path(0, "candidate"), "").await.problem(409);
    assert!(refused["detail"].as_str().unwrap().contains("it is in force itself"), "{refused}");
    post(&it.router, "/models/pumps/0123/candidate", "").await.problem(404);
    let registry = Registry::new(&it.dir).unwrap();
    registry.set_candidate(Some(&it.versions[1]), None).unwrap();
    // One that is damaged later is not gone on with.
    it.until(1, "a candidate", |listed| listed["candidate"] == true).await;
    let forest = it.folder.path().join("pumps/models").join(&it.versions[1]).join("forest.bin");
    std::fs::write(&forest, "nonsense").unwrap();
    registry.set_candidate(None, None).unwrap();
    it.until(1, "no candidate", |listed| listed["candidate"] == false).await;
    let refused = post(&it.router, &it.path(1, "candidate"), "").await.problem(409);
    assert!(refused["detail"].as_str().unwrap().contains("damaged"), "{refused}");
}

#[tokio::test]
async fn a_version_is_removed_unless_it_is_used() {
    let open = followed();
    let refused = open.delete(&format!("/models/pumps/{}", open.versions[1])).await.problem(403);
    assert!(refused["detail"].as_str().unwrap().contains("set ml_service.token"), "it cannot be undone: {refused}");

    let it = with(Management::Token(Secret::new("hunter2")));
    let post = async |_: &Router, path: &str, _: &str| {
        let request = Request::post(path).header("authorization", "Bearer hunter2");
        send(&it.router, request.body(Body::empty()).unwrap()).await
    };
    let path = |version: usize| format!("/models/pumps/{}", it.versions[version]);
    let refused = it.delete(&path(0)).await.problem(409);
    assert!(refused["detail"].as_str().unwrap().contains("put another one in force first"), "{refused}");
    post(&it.router, &it.path(1, "activate"), "").await;
    assert_eq!(it.delete(&path(0)).await.status.as_u16(), 204);
    it.delete(&path(0)).await.problem(404);
    it.delete("/models/pumps/..").await.problem(404);
    assert!(!it.folder.path().join("pumps/models").join(&it.versions[0]).exists());
    let refused = post(&it.router, "/models/pumps/rollback", "").await.problem(409);
    assert!(refused["detail"].as_str().unwrap().contains("no version to go back to"), "what is gone is passed over");
}

#[tokio::test]
async fn pages_of_other_sites_change_nothing() {
    let it = followed();
    for (site, status) in [("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)] {
        let request = Request::post(it.path(1, "activate")).header("sec-fetch-site", site).body(Body::empty()).unwrap();
        assert_eq!(send(&it.router, request).await.status.as_u16(), status, "{site}");
    }
}

#[tokio::test]
async fn drift_is_measured_of_what_is_scored() {
    let it = followed();
    it.ask(400).await;
    assert_eq!(it.listed(0).await["drift"], Value::Null, "of a few rows nothing is said");
    for _ in 0..4 {
        it.ask(400).await;
    }
    let drift = it.listed(0).await["drift"].clone();
    assert_eq!(drift["rows"], 2000);
    assert!(drift["columns"]["load"].as_f64().unwrap() < 0.1, "{drift}");
    let moved: Vec<Value> = (0..9000).map(|i| json!({"load": 100 + i % 50, "flow": i * 104_729 % 103})).collect();
    for rows in moved.chunks(500) {
        assert_eq!(post(&it.router, "/predict/batch", json!(rows).to_string()).await.status, 200);
    }
    let metrics = get(&it.router, "/metrics").await.text;
    let psi = |column: &str| {
        count(&metrics, &format!("pulse_ml_feature_drift_psi_ratio{{column=\"{column}\",use_case=\"pumps\"}}"))
    };
    assert!(psi("load") > 0.25 && psi("flow") < 0.1, "{metrics}");
    assert!(count(&metrics, "pulse_ml_score_drift_psi_ratio{use_case=\"pumps\"}") > 0.1);
    assert!(count(&metrics, "pulse_ml_drift_rows{use_case=\"pumps\"}") >= 5000.0);
    // Another model has seen nothing yet.
    post(&it.router, &it.path(1, "activate"), "").await;
    assert_eq!(it.listed(1).await["drift"], Value::Null);
}
