//! Tests of the commit task.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use prometheus::Registry;
use pulse_core::{Classify, ErrorClass, Headers, NewRecord};
use pulse_features::{Featurizer, UseCaseDir};
use pulse_pipeline::Plan;
use pulse_runtime::Health;
use pulse_testkit::FixedClock;
use tokio::sync::Notify;

use super::*;

#[test]
fn a_partition_rests_for_as_long_as_its_commit_took() {
    let began = Instant::now();
    let ms = Duration::from_millis;
    let next = |took: u64| next_commit(began, began + ms(took), ms(25)) - began;
    assert_eq!([next(0), next(10), next(12)], [ms(25); 3], "the interval is the least");
    assert_eq!([next(20), next(60), next(100)], [ms(40), ms(120), ms(200)]);
    assert_eq!(next(5000), ms(5100), "what waited for a broker is not waited for once more");
    assert_eq!(next_commit(began, began + ms(60), ms(0)) - began, ms(60), "without an interval there is no rest");
}

/// Takes nothing of partition 0 until it is mended.
#[derive(Default)]
struct Stuck {
    is_mended: AtomicBool,
    mended: Notify,
    committed: std::sync::Mutex<Vec<(u32, u64)>>,
}

#[derive(Debug, thiserror::Error)]
#[error("never")]
struct Never;

impl Classify for Never {
    fn class(&self) -> ErrorClass {
        ErrorClass::Fatal
    }
}

impl Committer for Stuck {
    const TOGETHER: bool = false;
    type Error = Never;

    async fn restore(&self, partitions: &[u32], mut each: impl FnMut(u32, Result<Restored, Never>) + Send) {
        partitions.iter().for_each(|&partition| each(partition, Ok(Restored::default())));
    }

    async fn commit(&self, commits: &[Commit]) -> Vec<Result<(), Never>> {
        for commit in commits {
            while commit.partition == 0 && !self.is_mended.load(Ordering::SeqCst) {
                self.mended.notified().await;
            }
            self.committed.lock().unwrap().push((commit.partition, commit.next_offset));
        }
        commits.iter().map(|_| Ok(())).collect()
    }

    fn hand_over(&self, _: &[u32]) {}

    fn release(&self, _: &[u32]) {}
}

fn task(committer: &Arc<Stuck>, turns: mpsc::UnboundedSender<Turn>) -> CommitTask<Stuck> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("devices")).unwrap();
    std::fs::write(folder.path().join("devices/config.yaml"), "name: devices\nfeatures: [value]\n").unwrap();
    let dir = UseCaseDir::load(folder.path(), "devices").unwrap();
    let plan = Plan::new(&dir, &Featurizer::new(&dir).unwrap(), None).unwrap();
    CommitTask {
        committer: Arc::clone(committer),
        clock: Arc::new(FixedClock::default()),
        metrics: Metrics::new(&Registry::new(), &dir.use_case, &plan).unwrap(),
        progress: Arc::new(Progress::new(plan.labels())),
        trouble: Trouble::new(Health::starting("starting"), CancellationToken::new()),
        dead_letters: Arc::clone(plan.dead_letters()),
        turns,
        interval: Duration::ZERO,
        held: HashMap::new(),
        one_taking_at_a_time: Arc::default(),
        turnstiles: HashMap::new(),
        anomaly_log: AnomalyLog::new(0),
    }
}

fn assignment(partition: u32) -> Assignment {
    Assignment { partition, number: 1 }
}

/// So much was judged.
fn done(partition: u32, next_offset: u64, records: u64, bytes: usize) -> ToCommitter {
    let output = NewRecord {
        topic: "t.dlq".into(),
        partition: None,
        timestamp: 0,
        key: None,
        payload: Bytes::from(vec![0; bytes]),
        headers: Headers::default(),
    };
    let mut outcome = Outcome { outputs: vec![output], ..Outcome::default() };
    outcome.counts.read = records;
    ToCommitter::Done(Box::new(Done {
        assignment: assignment(partition),
        next_offset,
        lag: None,
        outcome,
        state: vec![],
    }))
}

async fn next(turns: &mut mpsc::UnboundedReceiver<Turn>) -> Option<Turn> {
    tokio::time::timeout(Duration::from_secs(60), turns.recv()).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_is_stuck_is_read_no_more_and_all_others_go_on() {
    for (records, bytes) in [(WAITING.records, 0), (1, WAITING.bytes)] {
        let committer = Arc::<Stuck>::default();
        let (tell_turn, mut turns) = mpsc::unbounded_channel();
        let ((order, orders), (tell, inbox)) = (mpsc::unbounded_channel(), mpsc::channel(4));
        let running = tokio::spawn(task(&committer, tell_turn).run(orders, inbox));
        order.send(Order::Restore(vec![assignment(0)])).unwrap_or_default();
        assert!(matches!(next(&mut turns).await, Some(Turn::Taken(taken, _)) if taken == assignment(0)));
        // The first is under way for ever; the second fills the room.
        tell.send(done(0, 1, 1, 1)).await.unwrap_or_default();
        tokio::time::sleep(Duration::from_secs(1)).await;
        tell.send(done(0, 2, records, bytes)).await.unwrap_or_default();
        assert!(matches!(next(&mut turns).await, Some(Turn::Full(full)) if full == assignment(0)));
        order.send(Order::Restore(vec![assignment(1)])).unwrap_or_default();
        assert!(matches!(next(&mut turns).await, Some(Turn::Taken(taken, _)) if taken == assignment(1)));
        for next_offset in 1..20 {
            tell.send(done(1, next_offset, 1, 1)).await.unwrap_or_default();
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        let committed = std::mem::take(&mut *committer.committed.lock().unwrap());
        assert!(committed.ends_with(&[(1, 19)]), "{committed:?}");
        committer.is_mended.store(true, Ordering::SeqCst);
        committer.mended.notify_waiters();
        assert!(matches!(next(&mut turns).await, Some(Turn::Room(room)) if room == assignment(0)));
        drop((order, tell));
        running.await.unwrap().unwrap();
        assert_eq!(*committer.committed.lock().unwrap(), [(0, 1), (0, 2)]);
    }
}
