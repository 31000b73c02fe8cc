//! A use case, its events, and a processor of them.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus::Registry;
use pulse_core::ports::{Committer, EventProducer, EventSource, Polled, Scorer, Scores};
use pulse_core::{Classify, ErrorClass, Headers, Matrix, NewRecord};
use pulse_features::{Featurizer, UseCaseDir};
use pulse_pipeline::Plan;
use pulse_runtime::Health;
use pulse_store::{EmbeddedCommitter, EmbeddedSource, EmbeddedStore};
use pulse_stream_processor::{Metrics, Options, Processor, Progress};
use pulse_testkit::FixedClock;
use tokio_util::sync::CancellationToken;

pub(crate) const CONFIG: &str = "
name: devices
entity: { field: device }
features: [value]
detectors:
  isolation_forest: { decides: true }
  rolling_zscore: { window: 20, min_values: 10, threshold: 3, decides: true }
";
pub(crate) const EVENTS: u64 = 20_000;
/// Longer than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Calls an anomaly whatever is above 100; if it is flaky, every third call fails.
pub(crate) struct FlakyScorer {
    pub(crate) columns: Vec<String>,
    pub(crate) flaky: bool,
    pub(crate) calls: AtomicU64,
}

#[derive(Debug, thiserror::Error)]
#[error("away for a moment")]
pub(crate) struct Away;

impl Classify for Away {
    fn class(&self) -> ErrorClass {
        ErrorClass::Retry
    }
}

impl Scorer for FlakyScorer {
    type Error = Away;

    fn columns(&self) -> &[String] {
        &self.columns
    }

    async fn score(&self, rows: &Matrix) -> Result<Scores, Away> {
        if self.flaky && self.calls.fetch_add(1, Ordering::Relaxed).is_multiple_of(3) {
            return Err(Away);
        }
        let scores: Vec<f64> = rows.iter().map(|row| if row[0] > 100.0 { 0.9 } else { 0.4 }).collect();
        let flagged = scores.iter().enumerate().filter(|(_, score)| **score > 0.5);
        let contributions = flagged.map(|(row, _)| (row, vec![1.0])).collect();
        Ok(Scores { model_version: "test".into(), threshold: 0.5, highest: 0.9, scores, contributions })
    }
}

pub(crate) fn use_case(usecases: &Path) -> UseCaseDir {
    let folder = usecases.join("devices");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("config.yaml"), CONFIG).unwrap();
    UseCaseDir::load(usecases, "devices").unwrap()
}

pub(crate) fn event(i: u64) -> NewRecord {
    let device = format!("device {}", i % 7);
    let value = match i % 97 {
        0 => 150.0,
        1 => 40.0,
        _ => 10.0 + f64::from(u8::try_from(i % 5).unwrap()),
    };
    let payload = if i % 501 == 500 { "{".to_owned() } else { format!(r#"{{"device":"{device}","value":{value}}}"#) };
    NewRecord {
        topic: "raw_events".into(),
        partition: None,
        timestamp: i64::try_from(i).unwrap(),
        key: Some(device.into()),
        payload: payload.into(),
        headers: Headers::default(),
    }
}

pub(crate) async fn store(path: &Path) -> EmbeddedStore {
    let store = EmbeddedStore::open(path, Arc::new(FixedClock::default())).await.unwrap();
    for (topic, partitions) in [("raw_events", 4), ("anomalies", 1), ("raw_events.dlq", 1)] {
        store.create_topic(topic, partitions).await.unwrap();
    }
    store
}

/// Everything in a topic, in the order of what it says.
pub(crate) async fn contents(store: &EmbeddedStore, topic: &str) -> Vec<String> {
    let mut source = store.source("test", topic);
    let mut texts = Vec::new();
    loop {
        match source.poll(10_000).await.unwrap() {
            Polled::Idle => break,
            Polled::Records(batch) => texts.extend(batch.records.iter().map(|record| {
                let reasons = record.headers.get_str("pulse-reasons").unwrap_or_default();
                format!("{} {reasons}", String::from_utf8_lossy(&record.payload))
            })),
            Polled::Assigned(_) | Polled::Revoked(_) => {}
        }
    }
    texts.sort();
    texts
}

/// A processor of the rough kind: small batches and many snapshots.
pub(crate) fn processor<C: Committer>(
    store: &EmbeddedStore,
    dir: &UseCaseDir,
    committer: C,
    flaky: bool,
    registry: &Registry,
) -> Processor<EmbeddedSource, C, FlakyScorer> {
    let featurizer = Featurizer::new(dir).unwrap();
    let columns = vec!["value".to_owned()];
    let plan = Arc::new(Plan::new(dir, &featurizer, Some(&columns)).unwrap());
    Processor {
        source: store.source("pulse-devices", "raw_events"),
        committer,
        scorer: Some(Arc::new(FlakyScorer { columns, flaky, calls: AtomicU64::new(0) })),
        metrics: Metrics::new(registry, &dir.use_case, &plan).unwrap(),
        progress: Arc::new(Progress::new(plan.labels())),
        plan,
        featurizer,
        options: Options { batch_records: 37, snapshot_records: 100, drain: PATIENCE, ..Options::default() },
        clock: Arc::new(FixedClock::default()),
        health: Health::starting("starting"),
    }
}

/// Runs until `stop_after` records are processed, in this run, and what is left then, too.
pub(crate) async fn process<C: Committer>(processor: Processor<EmbeddedSource, C, FlakyScorer>, stop_after: u64) {
    let stop = CancellationToken::new();
    let mut processed = processor.progress.processed();
    let mut running = tokio::spawn(processor.run(stop.clone()));
    tokio::select! {
        ended = &mut running => panic!("it ended by itself: {ended:?}"),
        reached = tokio::time::timeout(PATIENCE, processed.wait_for(|processed| *processed >= stop_after)) => {
            reached.unwrap().unwrap();
        }
    }
    stop.cancel();
    running.await.unwrap().unwrap();
}

pub(crate) fn committer(store: &EmbeddedStore) -> EmbeddedCommitter {
    store.committer("pulse-devices", "raw_events", "state")
}

pub(crate) async fn filled(path: &Path) -> EmbeddedStore {
    let store = store(path).await;
    store.producer().append((0..EVENTS).map(event).collect()).await.unwrap();
    store
}

pub(crate) fn replayed_events(registry: &Registry) -> u64 {
    let families = registry.gather();
    let family = families.iter().find(|family| family.name() == "pulse_processor_replayed_events_total").unwrap();
    // A counter of whole events.
    format!("{}", family.get_metric()[0].get_counter().get_value()).parse().unwrap()
}
