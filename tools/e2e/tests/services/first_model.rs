//! A use case with nothing but its topic: the ML services train themselves on the first events.

use std::path::{Path, PathBuf};

use pulse_core::NewRecord;
use pulse_core::names::state_topic;
use pulse_core::ports::EventProducer as _;
use pulse_e2e::{Process, Stack, all_records, get, told, until, verdicts_as_told};
use pulse_features::UseCaseDir;
use pulse_kafka::KafkaProducer;
use serde_json::Value;

const CONFIG: &str = "name: pumps
features: [load, flow]
kafka: { topic: pump_events }
detectors:
  isolation_forest: { trees: 50, sample_size: 128, expected_rate: 0.02 }
";
/// What makes it a use case that finds something without a model, too.
const ROLLING: &str = "  rolling_zscore: { features: [load], window: 50, min_values: 20, threshold: 6 }\n";
/// Every so many events one is far out. Some of them are among the very first: a forest tells apart only what it has seen the like of.
const OUT_EVERY: u32 = 100;
const FAR_OUT: usize = 30;

fn events(numbers: std::ops::Range<u32>) -> Vec<NewRecord> {
    let event = |i: u32| {
        let load = if i % OUT_EVERY == OUT_EVERY - 1 { 90_000 } else { i * 7919 % 101 };
        NewRecord {
            topic: "pump_events".into(),
            partition: None,
            timestamp: 1_767_225_600_000 + i64::from(i),
            key: Some(format!("pump-{}", i % 7).into()),
            payload: format!(r#"{{"load":{load},"flow":{}}}"#, i * 104_729 % 103).into(),
            headers: Default::default(),
        }
    };
    numbers.map(event).collect()
}

async fn version(service: &mut Process) -> anyhow::Result<Option<String>> {
    let health: Value = serde_json::from_str(&get(&format!("{}/health", service.url().await?))?.body)?;
    Ok(health["model_version"].as_str().map(str::to_owned))
}

/// The use case in a folder of `root`.
fn folder(root: &Path, config: &str) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(root.join("pumps"))?;
    std::fs::write(root.join("pumps/config.yaml"), config)?;
    Ok(root.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_use_case_without_a_sample_learns_from_its_first_events() -> anyhow::Result<()> {
    let usecases = tempfile::tempdir()?;
    folder(usecases.path(), CONFIG)?;
    let stack = Stack::start().await?.with_usecases(usecases.path());
    let wanted = [("PULSE__ML_SERVICE__TRAINING_EVENTS", "1000")];
    // The topic comes with the processor, and the events come late.
    let mut replicas = [stack.service("ml-service", "pumps", &wanted)?, stack.service("ml-service", "pumps", &wanted)?];
    let url = replicas[0].url().await?;
    let mut processor = stack.service("stream-processor", "pumps", &[("PULSE__SCORER__URL", &url)])?;
    let writer = stack.service("anomaly-writer", "pumps", &[])?;
    processor.says("waiting").await?;
    let mut producer = KafkaProducer::new(&stack.kafka_settings())?;
    producer.append(events(0..400)).await?;
    until("replicas that say how far they are", async || {
        let health = get(&format!("{url}/health"))?.body;
        let other = get(&format!("{}/health", replicas[1].url().await?))?.body;
        Ok([health, other].iter().any(|health| health.contains(r#""done":400,"total":1000"#)))
    })
    .await?;
    producer.append(events(400..3000)).await?;
    processor.ready().await?;
    let far_out = async || {
        let stored = stack.stored("pumps").await?;
        anyhow::Ok(stored.iter().filter(|anomaly| anomaly["event"]["load"] == 90_000).count())
    };
    until("all that is far out", async || Ok(far_out().await? >= FAR_OUT)).await?;
    let versions = [version(&mut replicas[0]).await?, version(&mut replicas[1]).await?];
    assert!(versions[0].is_some() && versions[0] == versions[1], "{versions:?}");

    // All of them are judged, those that were trained on, too.
    until("all events", async || Ok(processor.metric("pulse_processor_events_total", "judged").await? >= 3000.0))
        .await?;
    assert_eq!(far_out().await?, FAR_OUT);

    // Started again, it is the same model, without training.
    let [one, other] = replicas;
    one.stop().await?;
    let mut again = stack.service("ml-service", "pumps", &wanted)?;
    again.ready().await?;
    assert_eq!(version(&mut again).await?, versions[0]);
    for process in [again, other, processor, writer] {
        process.stop().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_model_is_taken_up_like_any_other_and_recorded() -> anyhow::Result<()> {
    let (usecases, config) = (tempfile::tempdir()?, format!("{CONFIG}{ROLLING}"));
    let stack = Stack::start().await?.with_usecases(&folder(usecases.path(), &config)?);
    let wanted = [("PULSE__ML_SERVICE__TRAINING_EVENTS", "1000")];
    let mut ml_service = stack.service("ml-service", "pumps", &wanted)?;
    let url = ml_service.url().await?;
    let start_processor = || stack.service("stream-processor", "pumps", &[("PULSE__SCORER__URL", &url)]);
    let mut processor = start_processor()?;
    let writer = stack.service("anomaly-writer", "pumps", &[])?;
    // It does not wait for a model.
    processor.ready().await?;
    let mut producer = KafkaProducer::new(&stack.kafka_settings())?;
    let judged = async |processor: &mut Process, events: f64| {
        let all = async || Ok(processor.metric("pulse_processor_events_total", "judged").await? >= events);
        until("judged events", all).await
    };
    producer.append(events(0..900)).await?;
    judged(&mut processor, 900.0).await?;
    producer.append(events(900..1500)).await?;
    processor.says("scoring with the model of the ml service").await?;
    let model = version(&mut ml_service).await?.expect("a version is in force");
    producer.append(events(1500..3000)).await?;
    judged(&mut processor, 3000.0).await?;
    // Another process goes on by the same model.
    processor.stop().await?;
    let mut processor = start_processor()?;
    processor.ready().await?;
    producer.append(events(3000..3500)).await?;
    judged(&mut processor, 500.0).await?;
    processor.stop().await?;

    let log = all_records(&stack.kafka_settings(), "pump_events").await?;
    let told = told(&all_records(&stack.kafka_settings(), &state_topic("pumps")).await?);
    for (partition, versions) in &told {
        let models: Vec<&str> = versions.iter().map(|versions| &*versions.model_version).collect();
        assert_eq!(models, ["", &model], "partition {partition}");
    }
    // Who judges the same log by what is recorded comes to the same verdicts.
    let untrained = tempfile::tempdir()?;
    let dirs = [folder(untrained.path(), &config)?, usecases.path().to_owned()];
    let dirs = dirs.map(|usecases| UseCaseDir::load(&usecases, "pumps").expect("a use case that can be used"));
    let expected = verdicts_as_told(&dirs, &log, &told)?.anomalies;
    let stored = async || stack.stored("pumps").await;
    until("all anomalies", async || Ok(stored().await?.len() >= expected.len())).await?;
    assert_eq!(stored().await?, expected);
    let by_forest = |anomaly: &&Value| anomaly["detectors"].to_string().contains(&model);
    assert!(expected.iter().filter(by_forest).count() >= 20, "the far-out ones of the last 2,000");
    assert!(expected.iter().any(|anomaly| !by_forest(&anomaly)), "those before the model");
    for process in [ml_service, writer] {
        process.stop().await?;
    }
    Ok(())
}
