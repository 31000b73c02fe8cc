//! All services at work on one use case, stopped and started again in between.

use pulse_core::ports::EventProducer as _;
use pulse_core::{NewRecord, RecordBatch};
use pulse_e2e::{Expected, Process, Stack, all_records, flagged, until, verdicts};
use pulse_features::UseCaseDir;
use pulse_kafka::KafkaProducer;

/// What a run left behind, and what it should have.
pub(crate) struct Outcome {
    pub(crate) log: Vec<RecordBatch>,
    pub(crate) expected: Expected,
    pub(crate) dead_letters: Vec<RecordBatch>,
}

/// Runs `use_case` on `events` simulated events and on `bad` records, which somebody else sends. In between, processor and
/// writer are stopped and started again, and a second processor comes. At the end the database holds exactly what the log
/// demands, which is checked to the last field.
pub(crate) async fn run(stack: &Stack, use_case: &str, events: u32, bad: Vec<NewRecord>) -> anyhow::Result<Outcome> {
    let dir = UseCaseDir::load(stack.usecases(), use_case)?;
    // Where there is no sample, no model comes in between either: that is another test's matter.
    let untrained = [("PULSE__ML_SERVICE__TRAINING_EVENTS", "1000000")];
    let mut ml_service = stack.service("ml-service", use_case, &untrained)?;
    let scorer = ml_service.url().await?;
    let start_processor = || stack.service("stream-processor", use_case, &[("PULSE__SCORER__URL", &scorer)]);
    let mut writer = stack.service("anomaly-writer", use_case, &[])?;
    let mut processor = start_processor()?;
    processor.ready().await?;
    let events_text = events.to_string();
    let rate = [
        ("PULSE__SIMULATOR__RATE", "3000"),
        ("PULSE__SIMULATOR__EVENTS", &events_text),
        ("PULSE__SIMULATOR__ANOMALY_RATE", "0.02"),
    ];
    let mut simulator = stack.service("simulator", use_case, &rate)?;
    simulator.ready().await?;
    KafkaProducer::new(&stack.kafka_settings())?.append(bad).await?;

    until_processed(&mut processor, f64::from(events) / 4.0).await?;
    processor.stop().await?;
    let mut processors = [start_processor()?, start_processor()?];
    until("a stored anomaly", async || Ok(stack.count().await? > 0)).await?;
    writer.stop().await?;
    writer = stack.service("anomaly-writer", use_case, &[])?;
    assert!(simulator.end().await?.success(), "{:?}", simulator.said());

    let log = all_records(&stack.kafka_settings(), &dir.use_case.topic).await?;
    let expected = verdicts(&dir, &log)?;
    let enough = expected.anomalies.len();
    let stored =
        until("all anomalies in the database", async || Ok(stack.stored(use_case).await?.len() >= enough)).await;
    if let Err(error) = stored {
        let in_topic = all_records(&stack.kafka_settings(), "anomalies").await?;
        let in_topic: Vec<_> = in_topic.iter().map(|b| (b.partition, b.records.len(), b.next_offset)).collect();
        let stored = stack.stored(use_case).await?.len();
        return Err(error.context(format!("{enough} expected, {stored} stored, in the topic {in_topic:?}")));
    }
    for processor in &mut processors {
        until(
            "a processor without lag",
            async || Ok(processor.metric("pulse_processor_lag_records", "").await? == 0.0),
        )
        .await?;
    }
    let [one, other] = processors;
    for process in [one, other, writer, ml_service] {
        process.stop().await?;
    }
    check(stack, &dir, &log, &expected).await?;
    let dead_letters = all_records(&stack.kafka_settings(), &format!("{}.dlq", dir.use_case.topic)).await?;
    Ok(Outcome { log, expected, dead_letters })
}

async fn until_processed(processor: &mut Process, events: f64) -> anyhow::Result<()> {
    until("processed events", async || Ok(processor.metric("pulse_processor_events_total", "").await? >= events)).await
}

/// The database and the topic hold the anomalies of `log`: none missing, none twice, none different.
async fn check(stack: &Stack, dir: &UseCaseDir, log: &[RecordBatch], expected: &Expected) -> anyhow::Result<()> {
    let stored = stack.stored(&dir.use_case.name).await?;
    // Lists, in which what is there twice stands twice.
    let places = |anomalies: &[serde_json::Value]| -> Vec<(u64, u64)> {
        let place = |a: &serde_json::Value| (a["partition"].as_u64().unwrap(), a["offset"].as_u64().unwrap());
        let mut places: Vec<_> = anomalies.iter().map(place).collect();
        places.sort_unstable();
        places
    };
    let plainly: Vec<(u64, u64)> =
        flagged(dir, log, &expected.dead_letters)?.into_iter().map(|(p, offset)| (p.into(), offset)).collect();
    assert_eq!(places(&expected.anomalies), plainly, "the pipeline flags what a plain computation flags");
    assert_eq!(places(&stored), plainly);
    assert!(!stored.is_empty(), "a run without anomalies shows nothing");
    assert_eq!(stored.len(), expected.anomalies.len());
    for (stored, expected) in stored.iter().zip(&expected.anomalies) {
        assert_eq!(stored, expected);
    }
    let written = all_records(&stack.kafka_settings(), "anomalies").await?;
    let ours = pulse_e2e::payloads(&written);
    let ours =
        ours.iter().map(|payload| serde_json::from_str(payload)).collect::<Result<Vec<serde_json::Value>, _>>()?;
    let ours: Vec<_> = ours.into_iter().filter(|anomaly| anomaly["use_case"] == *dir.use_case.name).collect();
    assert_eq!(places(&ours), plainly, "each anomaly stands once in its topic");
    Ok(())
}
