//! A processor on a real log: whatever fails on the way, its results are those of a pipeline that nothing happened to.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use prometheus::Registry;
use pulse_core::ports::{Clock, Commit, Committer, EventProducer, EventSource, Polled, Restored, Scorer, Scores};
use pulse_core::{Classify, ErrorClass, Headers, Matrix, NewRecord};
use pulse_features::{Featurizer, UseCaseDir};
use pulse_pipeline::Plan;
use pulse_runtime::Health;
use pulse_store::{EmbeddedCommitter, EmbeddedSource, EmbeddedStore, StoreError};
use pulse_stream_processor::{Metrics, Options, Processor, Progress};
use tokio_util::sync::CancellationToken;

const CONFIG: &str = "
name: devices
entity: { field: device }
features: [value]
detectors:
  isolation_forest: { decides: true }
  rolling_zscore: { window: 20, min_values: 10, threshold: 3, decides: true }
";
const EVENTS: u64 = 20_000;
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}

/// Calls an anomaly whatever is above 100; if it is flaky, every third call fails.
struct FlakyScorer {
    columns: Vec<String>,
    flaky: bool,
    calls: AtomicU64,
}

#[derive(Debug, thiserror::Error)]
#[error("away for a moment")]
struct Away;

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

/// Every other commit fails at first, before anything is written.
struct FlakyCommitter<C> {
    inner: C,
    calls: u64,
}

#[derive(Debug, thiserror::Error)]
enum FlakyError {
    #[error(transparent)]
    Away(#[from] Away),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Classify for FlakyError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Away(away) => away.class(),
            Self::Store(error) => error.class(),
        }
    }
}

impl<C: Committer<Error = StoreError>> Committer for FlakyCommitter<C> {
    type Error = FlakyError;

    async fn restore(&mut self, partitions: &[u32]) -> Result<Vec<Restored>, FlakyError> {
        Ok(self.inner.restore(partitions).await?)
    }

    async fn commit(&mut self, commits: &[Commit]) -> Vec<Result<(), FlakyError>> {
        self.calls += 1;
        // One partition fails alone, or all of them.
        let (failing, rest) =
            commits.split_at(if self.calls % 4 == 1 { 1 } else { commits.len() * (self.calls % 2) as usize });
        let failures = failing.iter().map(|_| Err(Away.into()));
        let done = self.inner.commit(rest).await.into_iter().map(|result| result.map_err(FlakyError::from));
        failures.chain(done).collect()
    }
}

fn use_case(usecases: &Path) -> UseCaseDir {
    let folder = usecases.join("devices");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("config.yaml"), CONFIG).unwrap();
    UseCaseDir::load(usecases, "devices").unwrap()
}

fn event(i: u64) -> NewRecord {
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

async fn store(path: &Path) -> EmbeddedStore {
    let store = EmbeddedStore::open(path, Arc::new(FixedClock)).await.unwrap();
    for (topic, partitions) in [("raw_events", 4), ("anomalies", 1), ("raw_events.dlq", 1)] {
        store.create_topic(topic, partitions).await.unwrap();
    }
    store
}

/// Everything in a topic, in the order of what it says.
async fn contents(store: &EmbeddedStore, topic: &str) -> Vec<String> {
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
fn processor<C: Committer>(
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
        clock: Arc::new(FixedClock),
        health: Health::starting("starting"),
    }
}

/// Runs until `stop_after` records are processed, in this run, and what is left then, too.
async fn process<C: Committer>(processor: Processor<EmbeddedSource, C, FlakyScorer>, stop_after: u64) {
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

fn committer(store: &EmbeddedStore) -> EmbeddedCommitter {
    store.committer("pulse-devices", "raw_events", "state")
}

async fn filled(path: &Path) -> EmbeddedStore {
    let store = store(path).await;
    store.producer().append((0..EVENTS).map(event).collect()).await.unwrap();
    store
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_on_the_way_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let dir = use_case(folder.path());
    let (calm, rough) = (filled(&folder.path().join("calm.db")).await, filled(&folder.path().join("rough.db")).await);
    process(processor(&calm, &dir, committer(&calm), false, &Registry::new()), EVENTS).await;
    let flaky = FlakyCommitter { inner: committer(&rough), calls: 0 };
    process(processor(&rough, &dir, flaky, true, &Registry::new()), EVENTS).await;

    let anomalies = contents(&calm, "anomalies").await;
    assert!(anomalies.len() > 200, "{}", anomalies.len());
    assert_eq!(anomalies, contents(&rough, "anomalies").await);
    let dead = contents(&calm, "raw_events.dlq").await;
    assert_eq!(dead.len(), 39);
    assert_eq!(dead, contents(&rough, "raw_events.dlq").await);
}

#[derive(Debug, thiserror::Error)]
#[error("another one has taken over")]
struct Gone;

impl Classify for Gone {
    fn class(&self) -> ErrorClass {
        ErrorClass::Fatal
    }
}

/// Takes commits until so many records are committed, then none any more: what a killed process leaves behind.
struct DyingCommitter {
    inner: EmbeddedCommitter,
    dies_at: u64,
    committed: HashMap<u32, u64>,
}

impl Committer for DyingCommitter {
    type Error = Gone;

    async fn restore(&mut self, partitions: &[u32]) -> Result<Vec<Restored>, Gone> {
        let restored = self.inner.restore(partitions).await.map_err(|_| Gone)?;
        let committed = restored.iter().map(|restored| restored.committed.unwrap_or(0));
        self.committed.extend(partitions.iter().copied().zip(committed));
        Ok(restored)
    }

    async fn commit(&mut self, commits: &[Commit]) -> Vec<Result<(), Gone>> {
        if self.committed.values().sum::<u64>() >= self.dies_at {
            return commits.iter().map(|_| Err(Gone)).collect();
        }
        self.committed.extend(commits.iter().map(|commit| (commit.partition, commit.next_offset)));
        self.inner.commit(commits).await.into_iter().map(|result| result.map_err(|_| Gone)).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dying_between_snapshots_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let dir = use_case(folder.path());
    let (calm, rough) = (filled(&folder.path().join("calm.db")).await, filled(&folder.path().join("rough.db")).await);
    process(processor(&calm, &dir, committer(&calm), false, &Registry::new()), EVENTS).await;
    let (mut replayed, mut restored_from_snapshot) = (0, false);
    // A commit takes 64 batches of 37 records at the most, so that the last one leaves some of the log.
    for dies_at in [1, 1000, 5000, 9000, 13_000, 17_000] {
        let registry = Registry::new();
        let dying = DyingCommitter { inner: committer(&rough), dies_at, committed: HashMap::new() };
        let running = processor(&rough, &dir, dying, false, &registry).run(CancellationToken::new());
        let error = tokio::time::timeout(PATIENCE, running).await.unwrap().unwrap_err();
        assert_eq!(error.to_string(), "results cannot be committed");
        replayed += replayed_events(&registry);
        let restored = committer(&rough).restore(&[0, 1, 2, 3]).await.unwrap();
        restored_from_snapshot |= restored.iter().any(|restored| !restored.state.is_empty());
    }
    let registry = Registry::new();
    process(processor(&rough, &dir, committer(&rough), false, &registry), 1).await;
    replayed += replayed_events(&registry);
    assert!(replayed > 0 && restored_from_snapshot, "{replayed} replayed, from a snapshot: {restored_from_snapshot}");
    assert_eq!(contents(&calm, "anomalies").await, contents(&rough, "anomalies").await);
    assert_eq!(contents(&calm, "raw_events.dlq").await, contents(&rough, "raw_events.dlq").await);
}

/// Says again and again that somebody else has a partition, although nobody has.
struct LosingCommitter {
    inner: EmbeddedCommitter,
    calls: u64,
    lost: Arc<AtomicU64>,
}

#[derive(Debug, thiserror::Error)]
enum LosingError {
    #[error("another one has taken over")]
    Fenced,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Classify for LosingError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Fenced => ErrorClass::Fenced,
            Self::Store(error) => error.class(),
        }
    }
}

impl Committer for LosingCommitter {
    type Error = LosingError;

    async fn restore(&mut self, partitions: &[u32]) -> Result<Vec<Restored>, LosingError> {
        Ok(self.inner.restore(partitions).await?)
    }

    async fn commit(&mut self, commits: &[Commit]) -> Vec<Result<(), LosingError>> {
        self.calls += 1;
        let losing = usize::from(self.calls.is_multiple_of(7));
        self.lost.fetch_add(losing as u64, Ordering::Relaxed);
        let (lost, rest) = commits.split_at(losing);
        let done = self.inner.commit(rest).await.into_iter().map(|result| result.map_err(LosingError::from));
        lost.iter().map(|_| Err(LosingError::Fenced)).chain(done).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_partitions_are_taken_back_and_nothing_is_missing_or_double() {
    let folder = tempfile::tempdir().unwrap();
    let dir = use_case(folder.path());
    let (calm, rough) = (filled(&folder.path().join("calm.db")).await, filled(&folder.path().join("rough.db")).await);
    process(processor(&calm, &dir, committer(&calm), false, &Registry::new()), EVENTS).await;
    let lost = Arc::new(AtomicU64::new(0));
    let losing = LosingCommitter { inner: committer(&rough), calls: 0, lost: Arc::clone(&lost) };
    let mut rough_processor = processor(&rough, &dir, losing, false, &Registry::new());
    rough_processor.options.take_back_after = Duration::from_millis(20);
    process(rough_processor, EVENTS).await;
    assert!(lost.load(Ordering::Relaxed) > 0);
    assert_eq!(contents(&calm, "anomalies").await, contents(&rough, "anomalies").await);
    assert_eq!(contents(&calm, "raw_events.dlq").await, contents(&rough, "raw_events.dlq").await);
}

/// Takes nothing, and always says to come back later.
struct AwayCommitter;

impl Committer for AwayCommitter {
    type Error = Away;

    async fn restore(&mut self, partitions: &[u32]) -> Result<Vec<Restored>, Away> {
        Ok(vec![Restored::default(); partitions.len()])
    }

    async fn commit(&mut self, commits: &[Commit]) -> Vec<Result<(), Away>> {
        commits.iter().map(|_| Err(Away)).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_a_log_that_is_away() {
    let folder = tempfile::tempdir().unwrap();
    let dir = use_case(folder.path());
    let store = filled(&folder.path().join("log.db")).await;
    let registry = Registry::new();
    let mut processor = processor(&store, &dir, AwayCommitter, false, &registry);
    processor.options.drain = Duration::from_millis(100);
    let mut assigned = processor.progress.assigned();
    let stop = CancellationToken::new();
    let running = tokio::spawn(processor.run(stop.clone()));
    assigned.wait_for(|partitions| *partitions > 0).await.unwrap();
    stop.cancel();
    tokio::time::timeout(PATIENCE, running).await.unwrap().unwrap().unwrap();
}

fn replayed_events(registry: &Registry) -> u64 {
    let families = registry.gather();
    let family = families.iter().find(|family| family.name() == "pulse_processor_replayed_events_total").unwrap();
    // A counter of whole events.
    format!("{}", family.get_metric()[0].get_counter().get_value()).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_mended_ends_the_processor() {
    struct Broken;
    impl Committer for Broken {
        type Error = Gone;
        async fn restore(&mut self, partitions: &[u32]) -> Result<Vec<Restored>, Gone> {
            Ok(vec![Restored::default(); partitions.len()])
        }
        async fn commit(&mut self, commits: &[Commit]) -> Vec<Result<(), Gone>> {
            commits.iter().map(|_| Err(Gone)).collect()
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let dir = use_case(folder.path());
    let store = store(&folder.path().join("log.db")).await;
    store.producer().append((0..10).map(event).collect()).await.unwrap();
    let featurizer = Featurizer::new(&dir).unwrap();
    let plan = Arc::new(Plan::new(&dir, &featurizer, None).unwrap());
    let processor = Processor {
        source: store.source("pulse-devices", "raw_events"),
        committer: Broken,
        scorer: None::<Arc<FlakyScorer>>,
        options: Options::default(),
        clock: Arc::new(FixedClock),
        metrics: Metrics::new(&Registry::new(), &dir.use_case, &plan).unwrap(),
        progress: Arc::new(Progress::new(plan.labels())),
        plan,
        featurizer,
        health: Health::starting("starting"),
    };
    let error = processor.run(CancellationToken::new()).await.unwrap_err();
    assert_eq!(error.to_string(), "results cannot be committed");
}
