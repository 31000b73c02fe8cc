//! Versions of a model, over HTTP.

use std::path::Path;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use prometheus::Registry as Metrics;
use pulse_features::UseCaseDir;
use pulse_ml_service::{
    Files, Limits, Management, MlService, ModelSlot, Provenance, Registry, ServedUseCase, load_or_train,
    train_from_files,
};
use pulse_runtime::{Health, Secret};
use serde_json::json;

use crate::fixture::{Answer, get, post, send};

/// A use case of its own.
pub(crate) fn pumps() -> (tempfile::TempDir, UseCaseDir) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("pumps")).unwrap();
    std::fs::write(folder.path().join("pumps/config.yaml"), "name: pumps\nfeatures: [load, flow]\n").unwrap();
    let dir = UseCaseDir::load(folder.path(), "pumps").unwrap();
    (folder, dir)
}

/// Stores a version, another one for each `kind`.
pub(crate) fn store(folder: &Path, dir: &UseCaseDir, kind: u32) -> String {
    let rows: String = (0..600).map(|i| format!("{},{}\n", i * 7919 % (101 + kind), i * 104_729 % 103)).collect();
    let path = folder.join("events.csv");
    std::fs::write(&path, format!("load,flow\n{rows}")).unwrap();
    let files = Files { paths: vec![path], label: None, max_rows: 1000 };
    let model = train_from_files(dir, &files, |_| {}).unwrap().model;
    let trained_at = format!("2026-01-3{kind}T00:00:00Z");
    let provenance = Provenance { trained_at, source: "a test".to_owned(), rows_left_out: 0, quality: None };
    Registry::new(dir).unwrap().save(&model, provenance).unwrap();
    model.version().to_string()
}

fn router(dir: &UseCaseDir, slot: ModelSlot, management: Management) -> Router {
    let served = ServedUseCase::new(dir, None, slot).unwrap();
    let health = Health::starting("waiting");
    MlService::new(vec![served], Limits::default(), management, Metrics::new(), health).unwrap().router()
}

async fn version_of(router: &Router) -> serde_json::Value {
    let answer = post(router, "/predict", json!({"load": 3, "flow": 5}).to_string()).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text);
    answer.json()["model_version"].clone()
}

#[tokio::test]
async fn versions_are_listed_put_in_force_and_taken_back() {
    let (folder, dir) = pumps();
    let versions = [0, 1].map(|kind| store(folder.path(), &dir, kind));
    Registry::new(&dir).unwrap().activate(&versions[0], None).unwrap();
    let slot = ModelSlot::warming_up("waiting");
    load_or_train(&dir, &slot).unwrap();
    let router = router(&dir, slot, Management::Open);
    assert_eq!(version_of(&router).await, versions[0]);
    let listed = get(&router, "/models").await.json();
    let of = |index: usize| (listed["models"][index]["version"].clone(), listed["models"][index]["active"].clone());
    assert_eq!((of(0), of(1)), ((json!(versions[1]), json!(false)), (json!(versions[0]), json!(true))));
    assert_eq!((&listed["models"][1]["source"], &listed["models"][1]["stored"]), (&json!("a test"), &json!(true)));

    let activated = post(&router, &format!("/models/pumps/{}/activate", versions[1]), "").await;
    assert_eq!((activated.status.as_u16(), &activated.json()["version"]), (200, &json!(versions[1])));
    assert_eq!(version_of(&router).await, versions[1]);
    let metrics = get(&router, "/metrics").await.text;
    let trained = r#"pulse_ml_model_trained_timestamp_seconds{use_case="pumps"} 1769817600"#;
    assert!(metrics.lines().any(|line| line == trained), "{metrics}");
    assert_eq!(post(&router, "/models/pumps/rollback", "").await.json()["version"], versions[0]);
    assert_eq!(version_of(&router).await, versions[0]);

    let refused = post(&router, "/models/pumps/rollback", "").await.problem(409);
    assert!(refused["detail"].as_str().unwrap().contains("no version to go back to"), "{refused}");
    let refused = post(&router, "/models/pumps/0123/activate", "").await.problem(404);
    assert!(refused["detail"].as_str().unwrap().contains(&versions[1]), "{refused}");
    post(&router, "/models/wells/rollback", "").await.problem(404);

    std::fs::write(folder.path().join("pumps/config.yaml"), "name: pumps\nfeatures: [load, heat]\n").unwrap();
    let changed = UseCaseDir::load(folder.path(), "pumps").unwrap();
    let router = self::router(&changed, ModelSlot::warming_up("waiting"), Management::Open);
    let refused = post(&router, &format!("/models/pumps/{}/activate", versions[1]), "").await.problem(409);
    assert!(refused["detail"].as_str().unwrap().contains("it wants flow, and there are load, heat"), "{refused}");
}

#[tokio::test]
async fn one_that_looks_at_other_columns_is_not_put_under_processors() {
    let (folder, dir) = pumps();
    let both = store(folder.path(), &dir, 0);
    let fewer = "name: pumps\nfeatures: [load, flow]\ndetectors: { isolation_forest: { features: [load] } }\n";
    std::fs::write(folder.path().join("pumps/config.yaml"), fewer).unwrap();
    let one = store(folder.path(), &UseCaseDir::load(folder.path(), "pumps").unwrap(), 1);
    let registry = Registry::new(&dir).unwrap();
    registry.activate(&one, None).unwrap();
    registry.activate(&both, None).unwrap();
    let slot = ModelSlot::warming_up("waiting");
    load_or_train(&dir, &slot).unwrap();
    let router = router(&dir, slot, Management::Open);
    for path in [format!("/models/pumps/{one}/activate"), "/models/pumps/rollback".to_owned()] {
        let refused = post(&router, &path, "").await.problem(409);
        let said = "it looks at load, and processors send load, flow";
        assert!(refused["detail"].as_str().unwrap().contains(said), "{refused}");
    }
    assert_eq!(version_of(&router).await, both);
    assert_eq!(registry.standing().unwrap().active, Some(both));
}

#[tokio::test]
async fn who_changes_something_presents_the_token() {
    let (folder, dir) = pumps();
    let version = store(folder.path(), &dir, 0);
    let path = format!("/models/pumps/{version}/activate");
    let management = Management::Token(Secret::new("hunter2"));
    let guarded = router(&dir, ModelSlot::warming_up("waiting"), management);
    let ask = async |authorization: &str| -> Answer {
        let request = Request::post(&path).header("authorization", authorization).body(Body::empty()).unwrap();
        send(&guarded, request).await
    };
    for wrong in ["", "hunter2", "Bearer", "Bearer hunter", "Bearer hunter3", "Basic hunter2"] {
        let refused = ask(wrong).await;
        assert_eq!(refused.headers["www-authenticate"], "Bearer");
        assert!(!refused.problem(401).to_string().contains("hunter2"));
    }
    assert_eq!(get(&guarded, "/models").await.status.as_u16(), 200, "whoever reads is not asked");
    assert_eq!(ask("Bearer hunter2").await.status.as_u16(), 200);
    assert_eq!(version_of(&guarded).await, version);

    let fixed = router(&dir, ModelSlot::warming_up("waiting"), Management::Fixed);
    let refused = post(&fixed, &path, "").await.problem(409);
    assert!(refused["detail"].as_str().unwrap().contains("stream-pulse models activate"), "{refused}");
}
