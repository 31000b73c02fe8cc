//! Partitions change hands while events come, and nothing stands still, is missing or double.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use prometheus::Registry;
use pulse_core::ports::{Commit, Committer, EventProducer as _, EventSource, Polled, Restored};
use pulse_core::{Classify, ErrorClass};
use pulse_store::{EmbeddedCommitter, EmbeddedSource, EmbeddedStore, StoreError};
use pulse_stream_processor::Processor;
use pulse_testkit::contract::restore;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::committers::{FlakyCommitter, LosingCommitter};
use crate::setup::{
    EVENTS, FlakyScorer, PATIENCE, committer, contents, event, filled, process, processor, store, use_case,
};

/// A source whose group takes partitions away when told to. They are read on until paused, as ports promise.
struct Revoking {
    inner: EmbeddedSource,
    revoke: mpsc::UnboundedReceiver<Vec<u32>>,
    others: Arc<AtomicBool>,
    has_left: bool,
}

impl EventSource for Revoking {
    type Error = StoreError;

    async fn poll(&mut self, max_records: usize) -> Result<Polled, StoreError> {
        match self.revoke.try_recv() {
            Ok(partitions) => Ok(Polled::Revoked(partitions)),
            Err(_) => self.inner.poll(max_records).await,
        }
    }

    async fn seek(&mut self, partition: u32, offset: u64) -> Result<(), StoreError> {
        self.inner.seek(partition, offset).await
    }

    async fn seek_to_beginning(&mut self, partition: u32) -> Result<(), StoreError> {
        self.inner.seek_to_beginning(partition).await
    }

    fn pause(&mut self, partitions: &[u32]) {
        self.inner.pause(partitions);
    }

    async fn leave(&mut self) -> bool {
        if !std::mem::replace(&mut self.has_left, true) {
            let (tell, told) = mpsc::unbounded_channel();
            tell.send(vec![0, 1, 2, 3]).unwrap();
            self.revoke = told;
        }
        self.others.load(Ordering::Relaxed)
    }
}

/// To be fenced is no fault here: others take over one partition after the other.
struct Fenced(EmbeddedCommitter);

#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct FencedError(#[from] StoreError);

impl Classify for FencedError {
    fn class(&self) -> ErrorClass {
        if matches!(self.0, StoreError::Fenced { .. }) { ErrorClass::Fenced } else { self.0.class() }
    }
}

impl Committer for Fenced {
    const TOGETHER: bool = false;
    type Error = FencedError;

    async fn restore(&self, partitions: &[u32], mut each: impl FnMut(u32, Result<Restored, FencedError>) + Send) {
        self.0.restore(partitions, |partition, result| each(partition, result.map_err(FencedError))).await;
    }

    async fn commit(&self, commits: &[Commit]) -> Vec<Result<(), FencedError>> {
        self.0.commit(commits).await.into_iter().map(|result| result.map_err(FencedError)).collect()
    }

    fn hand_over(&self, partitions: &[u32]) {
        self.0.hand_over(partitions);
    }

    fn release(&self, partitions: &[u32]) {
        self.0.release(partitions);
    }
}

type Handing<C> = Processor<Revoking, C, FlakyScorer>;

/// The processor with a source that `tell` has partitions taken away from, and who is there to take them.
fn revoking<C: Committer>(
    processor: Processor<EmbeddedSource, C, FlakyScorer>,
) -> (Handing<C>, mpsc::UnboundedSender<Vec<u32>>, Arc<AtomicBool>) {
    let (tell, revoke) = mpsc::unbounded_channel();
    let others = Arc::new(AtomicBool::new(true));
    let Processor { source, committer, scorer, plan, featurizer, mut options, clock, metrics, progress, health } =
        processor;
    let source = Revoking { inner: source, revoke, others: Arc::clone(&others), has_left: false };
    (options.drain, options.hand_over) = (Duration::ZERO, PATIENCE);
    let processor =
        Processor { source, committer, scorer, plan, featurizer, options, clock, metrics, progress, health };
    (processor, tell, others)
}

async fn append(store: &EmbeddedStore, events: std::ops::Range<u64>) {
    store.producer().append(events.map(event).collect()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_loses_partitions_works_on_until_it_is_fenced() {
    let folder = tempfile::tempdir().unwrap();
    let dir = use_case(folder.path());
    let (calm, rough) = (store(&folder.path().join("calm.db")).await, store(&folder.path().join("rough.db")).await);
    append(&calm, 0..4000).await;
    process(processor(&calm, &dir, committer(&calm), false, &Registry::new()), 4000).await;

    let (first, tell, others) = revoking(processor(&rough, &dir, Fenced(committer(&rough)), false, &Registry::new()));
    let (mut processed, mut assigned) = (first.progress.processed(), first.progress.assigned());
    let stop = CancellationToken::new();
    let running = tokio::spawn(first.run(stop.clone()));
    let work = async {
        append(&rough, 0..1000).await;
        processed.wait_for(|processed| *processed >= 1000).await.unwrap();
        tell.send(vec![0, 1, 2, 3]).unwrap();
        append(&rough, 1000..2000).await;
        processed.wait_for(|processed| *processed >= 2000).await.unwrap();
        // Somebody else takes two of them over. That shows also where nothing comes.
        restore(&committer(&rough), &[0, 1]).await.unwrap();
        assigned.wait_for(|partitions| *partitions == 2).await.unwrap();
        append(&rough, 2000..4000).await;
        restore(&committer(&rough), &[2, 3]).await.unwrap();
        assigned.wait_for(|partitions| *partitions == 0).await.unwrap();
    };
    timeout(PATIENCE, work).await.unwrap();
    others.store(false, Ordering::Relaxed);
    stop.cancel();
    timeout(PATIENCE, running).await.unwrap().unwrap().unwrap();
    process(processor(&rough, &dir, committer(&rough), false, &Registry::new()), 1).await;
    assert_eq!(contents(&calm, "anomalies").await, contents(&rough, "anomalies").await);
    assert_eq!(contents(&calm, "raw_events.dlq").await, contents(&rough, "raw_events.dlq").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lasts_until_others_have_taken_over_if_there_are_any() {
    let folder = tempfile::tempdir().unwrap();
    let dir = use_case(folder.path());
    for somebody in [true, false] {
        let store = store(&folder.path().join(format!("{somebody}.db"))).await;
        let (first, _tell, others) =
            revoking(processor(&store, &dir, Fenced(committer(&store)), false, &Registry::new()));
        others.store(somebody, Ordering::Relaxed);
        let (mut processed, stop) = (first.progress.processed(), CancellationToken::new());
        let mut running = tokio::spawn(first.run(stop.clone()));
        append(&store, 0..500).await;
        timeout(PATIENCE, processed.wait_for(|processed| *processed >= 500)).await.unwrap().unwrap();
        stop.cancel();
        if somebody {
            append(&store, 500..1000).await;
            timeout(PATIENCE, processed.wait_for(|processed| *processed >= 1000)).await.unwrap().unwrap();
            assert!(!running.is_finished(), "nobody has taken over yet");
            restore(&committer(&store), &[0, 1, 2, 3]).await.unwrap();
        }
        timeout(PATIENCE / 2, &mut running).await.expect("it goes on").unwrap().unwrap();
    }
}

/// Each partition commits by itself.
struct Apart<C>(C);

impl<C: Committer> Committer for Apart<C> {
    const TOGETHER: bool = false;
    type Error = C::Error;

    async fn restore(&self, partitions: &[u32], each: impl FnMut(u32, Result<Restored, C::Error>) + Send) {
        self.0.restore(partitions, each).await;
    }

    async fn commit(&self, commits: &[Commit]) -> Vec<Result<(), C::Error>> {
        assert_eq!(commits.len(), 1);
        self.0.commit(commits).await
    }

    fn hand_over(&self, partitions: &[u32]) {
        self.0.hand_over(partitions);
    }

    fn release(&self, partitions: &[u32]) {
        self.0.release(partitions);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_that_commit_apart_come_to_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let dir = use_case(folder.path());
    let calm = filled(&folder.path().join("calm.db")).await;
    process(processor(&calm, &dir, committer(&calm), false, &Registry::new()), EVENTS).await;
    let flaky = |inner: EmbeddedCommitter| FlakyCommitter { inner, calls: AtomicU64::new(0) };
    let losing = |inner| LosingCommitter { inner, calls: AtomicU64::new(0), lost: Arc::default() };
    for loses in [false, true] {
        let rough = filled(&folder.path().join(format!("{loses}.db"))).await;
        if loses {
            let mut rough = processor(&rough, &dir, Apart(losing(committer(&rough))), false, &Registry::new());
            rough.options.take_back_after = Duration::from_millis(20);
            process(rough, EVENTS).await;
        } else {
            process(processor(&rough, &dir, Apart(flaky(committer(&rough))), true, &Registry::new()), EVENTS).await;
        }
        assert_eq!(contents(&calm, "anomalies").await, contents(&rough, "anomalies").await);
        assert_eq!(contents(&calm, "raw_events.dlq").await, contents(&rough, "raw_events.dlq").await);
    }
}
