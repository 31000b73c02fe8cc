//! The shipped use cases, and one that a stranger drops in: the exact set of anomalies for each.

use std::path::Path;

use pulse_core::ports::Clock as _;
use pulse_core::{Headers, NewRecord};
use pulse_e2e::{Process, Stack, get, post};
use pulse_runtime::SystemClock;
use serde_json::Value;

use crate::bad_records;
use crate::pipeline;

#[tokio::test(flavor = "multi_thread")]
async fn nyc_taxi() -> anyhow::Result<()> {
    let stack = Stack::start().await?;
    let bad = bad_records::for_taxi();
    let sent = bad.clone();
    let outcome = pipeline::run(&stack, "nyc_taxi", 12_000, bad).await?;
    bad_records::check(&sent, &outcome);
    let mut dashboard = stack.service("dashboard", "nyc_taxi", &[])?;
    dashboard.ready().await?;
    let url = dashboard.url().await?;
    assert_eq!(get(&url)?.status, 200);
    let latest: Value = serde_json::from_str(&get(&format!("{url}/api/anomalies?limit=5"))?.body)?;
    assert_eq!(latest["anomalies"].as_array().map(Vec::len), Some(5), "{latest}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn server_logs() -> anyhow::Result<()> {
    pipeline::run(&Stack::start().await?, "server_logs", 12_000, Vec::new()).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn device_metrics() -> anyhow::Result<()> {
    pipeline::run(&Stack::start().await?, "device_metrics", 60_000, Vec::new()).await?;
    Ok(())
}

const SMALLEST: &str = "\
name: custom_use_case
features: [feature_1, feature_2]
kafka: { topic: custom-topic }
metrics: { prefix: custom }
";

const STRANGER: &str = "\
name: cold_chain
entity: { field: truck.plate }
timestamp: { field: measured_at }
features:
  - { name: truck.speed, unit: km/h, minimum: 0, maximum: 200 }
  - { name: box.temperature, unit: °C, minimum: -60, maximum: 60 }
  - { name: box.target, unit: °C, minimum: -40, maximum: 20 }
  - { name: door_open, type: boolean, required: false }
rules:
  - box.target <= box.temperature + 50
kafka: { topic: cold-chain.events }
metrics: { prefix: cold_chain }
detectors:
  rolling_zscore: { features: [excess], window: 50, min_values: 20, threshold: 6 }
";

const STRANGERS_FEATURES: &str = "\
# How much warmer the box is than it should be, in kelvin.
.excess = to_float!(.box.temperature) - to_float!(.box.target)
";

fn folder(root: &Path, name: &str, config: &str) -> std::path::PathBuf {
    let folder = root.join(name);
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("config.yaml"), config).unwrap();
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn the_smallest_config_needs_nothing_else() -> anyhow::Result<()> {
    let usecases = tempfile::tempdir()?;
    folder(usecases.path(), "custom_use_case", SMALLEST);
    let stack = Stack::start().await?.with_usecases(usecases.path());
    pipeline::run(&stack, "custom_use_case", 20_000, Vec::new()).await?;
    Ok(())
}

/// Events as the stranger's own producer sends them: 40 trucks, two of which get warm.
fn cold_chain() -> Vec<NewRecord> {
    let now = SystemClock.now();
    let event = |i: i32| {
        let (truck, step) = (i % 40, i / 40);
        let warm = (truck == 7 && step > 60) || (truck == 23 && step == 70);
        let temperature = -18.0 + f64::from((i * 7919) % 100) / 100.0 + if warm { 15.0 } else { 0.0 };
        // One truck's sensor makes no sense beside its target, which the rule says.
        let (temperature, target) = if truck == 39 { (-50.0, 20) } else { (temperature, -18) };
        let payload = format!(
            r#"{{"truck":{{"plate":"B-{truck}","speed":80}},"box":{{"temperature":{temperature},"target":{target}}},"measured_at":"{now}"}}"#
        );
        NewRecord {
            topic: "cold-chain.events".into(),
            partition: None,
            timestamp: now.as_millisecond(),
            key: Some(format!("B-{truck}").into()),
            payload: payload.into(),
            headers: Headers::default(),
        }
    };
    (0..4000).map(event).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_folder_and_a_strangers_producer() -> anyhow::Result<()> {
    let usecases = tempfile::tempdir()?;
    std::fs::write(folder(usecases.path(), "cold_chain", STRANGER).join("features.vrl"), STRANGERS_FEATURES)?;
    let stack = Stack::start().await?.with_usecases(usecases.path());
    let outcome = pipeline::run(&stack, "cold_chain", 8000, cold_chain()).await?;
    let entities: Vec<&str> = outcome.expected.anomalies.iter().filter_map(|a| a["entity"].as_str()).collect();
    assert!(entities.contains(&"B-7") && entities.contains(&"B-23"), "{entities:?}");
    let broken = outcome
        .expected
        .dead_letters
        .values()
        .filter(|reasons| reasons.to_string().contains("box.target <= box.temperature + 50"));
    assert!(broken.count() >= 100, "every event of the truck with the wrong sensor");
    Ok(())
}

async fn try_predict(ml_service: &mut Process) -> anyhow::Result<()> {
    ml_service.ready().await?;
    let url = ml_service.url().await?;
    let schema: Value = serde_json::from_str(&get(&format!("{url}/schema"))?.body)?;
    let example = schema["examples"][0].to_string();
    let verdict = post(&format!("{url}/predict"), &example)?;
    assert_eq!(verdict.status, 200, "{example} got {}", verdict.body);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_of_every_schema_can_be_predicted() -> anyhow::Result<()> {
    for use_case in ["nyc_taxi", "server_logs"] {
        let usecases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../usecases");
        let environment = [("USE_CASE", use_case), ("PULSE__USECASES", usecases.to_str().unwrap())];
        try_predict(&mut Process::start("ml-service", &environment)?).await?;
    }
    Ok(())
}
