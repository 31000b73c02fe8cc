//! Training on what is in a topic, and on its first events.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pulse_core::ports::{Backlog, EventProducer as _, TopicReader};
use pulse_core::{ErrorClass, Headers, NewRecord, RecordBatch};
use pulse_features::UseCaseDir;
use pulse_ml_service::{
    ModelSlot, ModelState, Reached, Registry, ServedUseCase, TopicError, TrainingError, follow, load_or_train,
    train_first_model, train_from_topic,
};
use pulse_runtime::SystemClock;
use pulse_store::EmbeddedStore;
use tokio_util::sync::CancellationToken;

use crate::models::{pumps, store};

const TOPIC: &str = "raw_events";

/// A use case without a sample, and a topic for its events.
struct Topic {
    dir: UseCaseDir,
    store: EmbeddedStore,
    folder: tempfile::TempDir,
}

async fn topic() -> Topic {
    let (folder, dir) = pumps();
    let store = EmbeddedStore::open(&folder.path().join("log.db"), Arc::new(SystemClock)).await.unwrap();
    store.create_topic(TOPIC, 3).await.unwrap();
    Topic { dir, store, folder }
}

impl Topic {
    /// Appends so many events; every tenth is none.
    async fn append(&self, numbers: std::ops::Range<u32>) {
        let record = |i: u32| {
            let (load, flow) = (i * 7919 % 101, i * 104_729 % 103);
            let load = if i % 50 == 7 { load + 900 } else { load };
            let event = format!(r#"{{"load":{load},"flow":{flow},"broken":{}}}"#, i % 50 == 7);
            let payload = if i % 10 == 9 { "no event".to_owned() } else { event };
            NewRecord {
                topic: TOPIC.into(),
                partition: Some(i % 3),
                timestamp: i64::from(i),
                key: None,
                payload: Bytes::from(payload),
                headers: Headers::default(),
            }
        };
        self.store.producer().append(numbers.map(record).collect()).await.unwrap();
    }

    fn served(&self) -> ServedUseCase {
        ServedUseCase::new(&self.dir, None, ModelSlot::warming_up("waiting")).unwrap()
    }
}

#[tokio::test]
async fn a_model_is_trained_on_all_that_is_there() {
    let it = topic().await;
    let mut reader = it.store.reader(TOPIC);
    let empty = train_from_topic(&it.dir, &mut reader, 1000, None, |_| {}).await;
    assert!(matches!(empty, Err(TopicError::Empty(topic)) if topic == TOPIC));
    it.append(0..1000).await;
    let mut told = Vec::new();
    let train = async |label, progress: &mut dyn FnMut(Reached<'_>)| {
        let mut reader = it.store.reader(TOPIC);
        train_from_topic(&it.dir, &mut reader, 10_000, label, progress).await
    };
    let trained =
        train(Some("broken"), &mut |reached| told.push((reached.done, reached.total, reached.left_out))).await.unwrap();
    assert_eq!((trained.read, trained.left_out, trained.model.trained_rows()), (1000, 100, 900));
    assert!(trained.first_fault.is_some());
    let quality = trained.quality.unwrap();
    assert_eq!((quality.rows, quality.anomalies), (900, 20));
    assert!(quality.roc_auc > 0.99, "{quality:?}");
    assert_eq!(told.last(), Some(&(1000, 1000, 100)));
    assert!(told.is_sorted(), "{told:?}");
    let error = train(Some("faulty"), &mut |_| {}).await.unwrap_err();
    assert!(matches!(error, TopicError::Training(TrainingError::NoLabel { .. })), "{error}");
}

#[tokio::test]
async fn the_first_events_are_waited_for_and_one_process_trains_for_all() {
    let it = topic().await;
    let stop = CancellationToken::new();
    let replicas = [it.served(), it.served()];
    let mut running = tokio::task::JoinSet::new();
    for replica in &replicas {
        running.spawn(follow(replica.clone(), stop.clone()));
        let (dir, replica, store) = (it.dir.clone(), replica.clone(), it.store.clone());
        running.spawn(async move {
            train_first_model(&dir, &replica, || Ok(store.reader(TOPIC)), 300, &SystemClock).await;
        });
    }
    it.append(0..200).await;
    let warming_up = |done: u64| {
        replicas.iter().any(|replica| {
            matches!(replica.slot().state(), ModelState::WarmingUp(warm_up) if warm_up.done == done && warm_up.total == Some(300))
        })
    };
    until("progress", || warming_up(180)).await;
    it.append(200..1000).await;
    for replica in &replicas {
        tokio::time::timeout(Duration::from_secs(60), replica.slot().wait()).await.unwrap();
    }
    let [one, other] = replicas.map(|replica| replica.slot().model().unwrap());
    assert_eq!((one.version(), one.trained_rows()), (other.version(), 300));
    let registry = Registry::new(&it.dir).unwrap();
    let listed = registry.list().unwrap();
    assert_eq!(listed.len(), 1);
    assert!(listed[0].active);
    assert_eq!(listed[0].metadata.provenance.source, "the first 300 events of raw_events");
    assert!(listed[0].metadata.provenance.rows_left_out > 0);
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(60), running.join_all()).await.unwrap();
}

/// Fails so often before it works.
struct Flaky {
    failures: u32,
    reader: pulse_store::EmbeddedReader,
}

/// What may pass.
#[derive(Debug, thiserror::Error)]
#[error("not now")]
struct NotNow;

impl pulse_core::Classify for NotNow {
    fn class(&self) -> ErrorClass {
        ErrorClass::Retry
    }
}

impl TopicReader for Flaky {
    type Error = NotNow;

    async fn read(&mut self, _: usize) -> Result<Option<RecordBatch>, NotNow> {
        let fails = self.failures > 0 && self.backlog().is_some_and(|backlog| backlog.read > 50);
        if fails {
            self.failures -= 1;
            return Err(NotNow);
        }
        self.reader.read(60).await.map_err(|_| NotNow)
    }

    fn backlog(&self) -> Option<Backlog> {
        self.reader.backlog()
    }
}

#[tokio::test]
async fn what_was_read_before_brokers_went_away_is_kept() {
    let it = topic().await;
    it.append(0..1000).await;
    let served = it.served();
    let open = || Ok(Flaky { failures: 2, reader: it.store.reader(TOPIC) });
    train_first_model(&it.dir, &served, open, 300, &SystemClock).await;
    assert_eq!(served.slot().model().unwrap().trained_rows(), 300);
    let listed = Registry::new(&it.dir).unwrap().list().unwrap();
    // Nothing was read twice: 300 valid ones lie among the first 334 at the most of each partition's turn.
    assert!(listed[0].metadata.provenance.rows_left_out < 40, "{:?}", listed[0].metadata.provenance);
}

#[tokio::test]
async fn a_model_that_comes_by_hand_meanwhile_stays() {
    let it = topic().await;
    it.append(0..100).await;
    let (served, stop) = (it.served(), CancellationToken::new());
    let following = tokio::spawn(follow(served.clone(), stop.clone()));
    let waiting = tokio::spawn({
        let (dir, served, reader) = (it.dir.clone(), served.clone(), it.store.reader(TOPIC));
        async move { train_first_model(&dir, &served, || Ok(reader), 300, &SystemClock).await }
    });
    until("some events", || matches!(served.slot().state(), ModelState::WarmingUp(warm_up) if warm_up.done == 90))
        .await;
    let ModelState::WarmingUp(warm_up) = served.slot().state() else { panic!("there is a model") };
    assert!(warm_up.stage.contains("10 were not valid, the first: "), "{warm_up:?}");
    // Whoever has events of another source is not held up.
    let registry = Registry::new(&it.dir).unwrap();
    drop(registry.lock().unwrap());
    let by_hand = store(it.folder.path(), &it.dir, 0);
    registry.activate(&by_hand, None).unwrap();
    tokio::time::timeout(Duration::from_secs(60), waiting).await.unwrap().unwrap();
    it.append(100..1000).await;
    assert_eq!(**served.slot().model().unwrap().version(), *by_hand);
    assert_eq!(registry.standing().unwrap().active, Some(by_hand));
    stop.cancel();
    following.await.unwrap();
}

#[tokio::test]
async fn where_there_can_be_no_model_it_is_said_why() {
    let it = topic().await;
    let served = it.served();
    train_first_model(&it.dir, &served, || Ok(it.store.reader("unheard_of")), 300, &SystemClock).await;
    let ModelState::Failed(warm_up) = served.slot().state() else { panic!("{:?}", served.slot().state()) };
    assert!(warm_up.stage.contains("unheard_of"), "{warm_up:?}");

    // Without a sample, one may be on its way; with a stored model that cannot be used, a person has to choose.
    let slot = ModelSlot::warming_up("waiting");
    assert!(matches!(load_or_train(&it.dir, &slot), Err(TrainingError::NoSample(_))));
    assert!(matches!(slot.state(), ModelState::WarmingUp(_)));
    let version = store(it.folder.path(), &it.dir, 0);
    Registry::new(&it.dir).unwrap().activate(&version, None).unwrap();
    std::fs::write(it.folder.path().join("pumps/models").join(&version).join("forest.bin"), "nonsense").unwrap();
    assert!(matches!(load_or_train(&it.dir, &slot), Err(TrainingError::Stored(_))));
    let ModelState::Failed(warm_up) = slot.state() else { panic!("{:?}", slot.state()) };
    assert!(warm_up.stage.contains("the stored model cannot be used"), "{warm_up:?}");
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..2000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}
