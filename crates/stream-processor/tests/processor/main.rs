//! A processor on a real log: whatever fails on the way, its results are those of a pipeline that nothing happened to.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod committers;
mod handing_over;
mod setup;
mod stuck;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use prometheus::Registry;
use pulse_core::ports::{Commit, Committer, EventProducer, Restored};
use pulse_core::{Headers, NewRecord};
use pulse_features::Featurizer;
use pulse_pipeline::{Plan, Versions};
use pulse_runtime::Health;
use pulse_stream_processor::{Metrics, Options, Processor, Progress};
use pulse_testkit::FixedClock;
use pulse_testkit::contract::restore;
use tokio_util::sync::CancellationToken;

use committers::{AwayCommitter, DyingCommitter, FAR, FlakyCommitter, Gone, LosingCommitter, NarrowCommitter};
use setup::{
    EVENTS, FlakyScorer, PATIENCE, committer, contents, event, filled, process, processor, replayed_events, store,
    use_case,
};

#[tokio::test(flavor = "multi_thread")]
async fn failures_on_the_way_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let dir = use_case(folder.path());
    let (calm, rough) = (filled(&folder.path().join("calm.db")).await, filled(&folder.path().join("rough.db")).await);
    process(processor(&calm, &dir, committer(&calm), false, &Registry::new()), EVENTS).await;
    let flaky = FlakyCommitter { inner: committer(&rough), calls: AtomicU64::new(0) };
    process(processor(&rough, &dir, flaky, true, &Registry::new()), EVENTS).await;

    let anomalies = contents(&calm, "anomalies").await;
    assert!(anomalies.len() > 200, "{}", anomalies.len());
    assert_eq!(anomalies, contents(&rough, "anomalies").await);
    let dead = contents(&calm, "raw_events.dlq").await;
    assert_eq!(dead.len(), 39);
    assert_eq!(dead, contents(&rough, "raw_events.dlq").await);

    for restored in restore(&committer(&rough), &[0, 1, 2, 3]).await.unwrap() {
        let told: Vec<Versions> = restored.state.iter().filter_map(Versions::of).collect();
        assert!(matches!(&told[..], [only] if only.offset == 0 && only.model_version == "test"), "{told:?}");
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
        let dying = DyingCommitter { inner: committer(&rough), dies_at, committed: Mutex::default() };
        let running = processor(&rough, &dir, dying, false, &registry).run(CancellationToken::new());
        let error = tokio::time::timeout(PATIENCE, running).await.unwrap().unwrap_err();
        assert_eq!(error.to_string(), "results cannot be committed");
        replayed += replayed_events(&registry);
        let restored = restore(&committer(&rough), &[0, 1, 2, 3]).await.unwrap();
        // A group that has begun has a position, and some entities in a snapshot that is worth its name.
        restored_from_snapshot |= restored.iter().any(|restored| restored.state.len() > 1);
    }
    let registry = Registry::new();
    process(processor(&rough, &dir, committer(&rough), false, &registry), 1).await;
    replayed += replayed_events(&registry);
    assert!(replayed > 0 && restored_from_snapshot, "{replayed} replayed, from a snapshot: {restored_from_snapshot}");
    assert_eq!(contents(&calm, "anomalies").await, contents(&rough, "anomalies").await);
    assert_eq!(contents(&calm, "raw_events.dlq").await, contents(&rough, "raw_events.dlq").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_partitions_are_taken_back_and_nothing_is_missing_or_double() {
    let folder = tempfile::tempdir().unwrap();
    let dir = use_case(folder.path());
    let (calm, rough) = (filled(&folder.path().join("calm.db")).await, filled(&folder.path().join("rough.db")).await);
    process(processor(&calm, &dir, committer(&calm), false, &Registry::new()), EVENTS).await;
    let lost = Arc::new(AtomicU64::new(0));
    let losing = LosingCommitter { inner: committer(&rough), calls: AtomicU64::new(0), lost: Arc::clone(&lost) };
    let mut rough_processor = processor(&rough, &dir, losing, false, &Registry::new());
    rough_processor.options.take_back_after = Duration::from_millis(20);
    process(rough_processor, EVENTS).await;
    assert!(lost.load(Ordering::Relaxed) > 0);
    assert_eq!(contents(&calm, "anomalies").await, contents(&rough, "anomalies").await);
    assert_eq!(contents(&calm, "raw_events.dlq").await, contents(&rough, "raw_events.dlq").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_becomes_a_dead_letter_and_stops_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let dir = use_case(folder.path());
    let huge = "x".repeat(200_000);
    let mut events: Vec<NewRecord> = (0..300).map(event).collect();
    // Of one device: an anomaly, an event that is no JSON and fits, and one that is large by its headers.
    events[100].payload = format!(r#"{{"device":"device 2","value":150,"note":"{huge}"}}"#).into();
    events[107].payload = format!("{{{huge}{huge}").into();
    events[114].payload = "{".into();
    events[114].headers = Headers::new([("note", "x".repeat(700_000).as_bytes())]);
    let mut found = Vec::new();
    for batch_records in [1, 37, 300] {
        let store = store(&folder.path().join(format!("{batch_records}.db"))).await;
        store.producer().append(events.clone()).await.unwrap();
        let narrow = NarrowCommitter { inner: committer(&store), anomalies: 100_000, dead_letters: 500_000 };
        let registry = Registry::new();
        let mut processor = processor(&store, &dir, narrow, false, &registry);
        processor.options.batch_records = batch_records;
        process(processor, 300).await;
        let anomalies = contents(&store, "anomalies").await;
        assert!(anomalies.len() == 4 && anomalies.iter().all(|text| text.len() < 100_000), "{}", anomalies.len());
        let dead = contents(&store, "raw_events.dlq").await;
        let cut: Vec<&String> = dead.iter().filter(|text| text.contains("is too large for topic")).collect();
        assert_eq!((dead.len(), cut.len()), (3, 2));
        assert!(cut.iter().all(|text| text.len() < 70_000), "{cut:?}");
        assert!(cut.iter().any(|text| text.contains("is too large for topic anomalies")));
        assert!(dead.iter().any(|text| text.len() > 400_000), "what fits is left as it is");
        let families = registry.gather();
        let family = families.iter().find(|family| family.name() == "pulse_processor_oversized_total").unwrap();
        assert_eq!(format!("{}", family.get_metric()[0].get_counter().get_value()), "2");
        found.push((anomalies, dead));
    }
    assert!(found.windows(2).all(|pair| pair[0] == pair[1]), "however batches are cut and merged");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_a_log_that_is_away() {
    let folder = tempfile::tempdir().unwrap();
    let dir = use_case(folder.path());
    let store = filled(&folder.path().join("log.db")).await;
    for silent in [false, true] {
        let registry = Registry::new();
        let mut processor = processor(&store, &dir, AwayCommitter { silent }, false, &registry);
        processor.options.drain = Duration::from_millis(100);
        let (mut assigned, health) = (processor.progress.assigned(), processor.health.clone());
        let stop = CancellationToken::new();
        let running = tokio::spawn(processor.run(stop.clone()));
        assigned.wait_for(|partitions| *partitions > 0).await.unwrap();
        tokio::time::timeout(PATIENCE, async {
            while health.reason().is_none_or(|reason| !reason.contains("commit")) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await
        .unwrap();
        stop.cancel();
        tokio::time::timeout(PATIENCE, running).await.unwrap().unwrap().unwrap();
        assert!(!health.is_ready());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn how_much_waits_is_known_while_nothing_can_be_committed() {
    let folder = tempfile::tempdir().unwrap();
    let dir = use_case(folder.path());
    let store = filled(&folder.path().join("log.db")).await;
    let registry = Registry::new();
    let mut processor = processor(&store, &dir, AwayCommitter { silent: true }, false, &registry);
    processor.options.drain = Duration::from_millis(100);
    let (progress, stop) = (Arc::clone(&processor.progress), CancellationToken::new());
    let running = tokio::spawn(processor.run(stop.clone()));
    tokio::time::timeout(PATIENCE, async {
        while progress.lag() != 4 * FAR {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .unwrap();
    stop.cancel();
    tokio::time::timeout(PATIENCE, running).await.unwrap().unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_mended_ends_the_processor() {
    struct Broken;
    impl Committer for Broken {
        const TOGETHER: bool = true;
        type Error = Gone;
        async fn restore(&self, partitions: &[u32], mut each: impl FnMut(u32, Result<Restored, Gone>) + Send) {
            partitions.iter().for_each(|&partition| each(partition, Ok(Restored::default())));
        }
        fn hand_over(&self, _: &[u32]) {}
        fn release(&self, _: &[u32]) {}
        async fn commit(&self, commits: &[Commit]) -> Vec<Result<(), Gone>> {
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
        clock: Arc::new(FixedClock::default()),
        metrics: Metrics::new(&Registry::new(), &dir.use_case, &plan).unwrap(),
        progress: Arc::new(Progress::new(plan.labels())),
        plan,
        featurizer,
        health: Health::starting("starting"),
    };
    let error = processor.run(CancellationToken::new()).await.unwrap_err();
    assert_eq!(error.to_string(), "results cannot be committed");
}
