//! Orders of stopping, failures, panics and deadlines.

use std::convert::Infallible;
use std::error::Error as _;
use std::sync::{Arc, Mutex};

use super::*;

const LONG: Duration = Duration::from_secs(60);

/// Tasks that note when they are asked to stop.
#[derive(Clone, Default)]
struct Diary(Arc<Mutex<Vec<&'static str>>>);

impl Diary {
    fn add(&self, group: &mut ServiceGroup, stage: Stage, name: &'static str) {
        let diary = self.clone();
        group.spawn(stage, name, |stop| async move {
            stop.cancelled().await;
            diary.0.lock().unwrap().push(name);
            Ok::<(), Infallible>(())
        });
    }

    fn read(&self) -> Vec<&'static str> {
        self.0.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn stages_stop_one_after_another() {
    let stop = CancellationToken::new();
    let mut group = ServiceGroup::new(stop.clone());
    let diary = Diary::default();
    diary.add(&mut group, Stage::Admin, "admin");
    diary.add(&mut group, Stage::Sink, "writer");
    diary.add(&mut group, Stage::Source, "simulator");
    diary.add(&mut group, Stage::Transform, "processor");
    stop.cancel();
    group.join(LONG).await.unwrap();
    assert_eq!(diary.read(), ["simulator", "processor", "writer", "admin"]);
}

#[tokio::test]
async fn a_failure_stops_the_others_and_is_reported_with_its_cause() {
    let stop = CancellationToken::new();
    let mut group = ServiceGroup::new(stop.clone());
    let diary = Diary::default();
    diary.add(&mut group, Stage::Source, "simulator");
    diary.add(&mut group, Stage::Admin, "admin");
    group.spawn(Stage::Sink, "writer", |_| async { Err(std::io::Error::other("disk full")) });
    let error = group.join(LONG).await.unwrap_err();
    assert_eq!(error.to_string(), "writer failed");
    assert_eq!(error.source().unwrap().to_string(), "disk full");
    assert!(stop.is_cancelled());
    assert_eq!(diary.read(), ["simulator", "admin"]);
}

#[tokio::test]
async fn a_panic_stops_the_others_and_is_reported_with_its_task() {
    let mut group = ServiceGroup::new(CancellationToken::new());
    let diary = Diary::default();
    diary.add(&mut group, Stage::Source, "simulator");
    group.spawn(Stage::Transform, "processor", |_| async {
        std::panic::panic_any("a defect".to_owned());
        #[expect(unreachable_code, reason = "gives the task its type")]
        Ok::<(), Infallible>(())
    });
    let error = group.join(LONG).await.unwrap_err();
    assert_eq!(error.to_string(), "processor panicked: a defect");
    assert_eq!(diary.read(), ["simulator"]);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_names_and_aborts_what_still_runs() {
    let stop = CancellationToken::new();
    let mut group = ServiceGroup::new(stop.clone());
    let diary = Diary::default();
    diary.add(&mut group, Stage::Source, "simulator");
    let dropped = Arc::new(());
    let held = dropped.clone();
    group.spawn(Stage::Transform, "processor", |_| async move {
        std::future::pending::<()>().await;
        drop(held);
        Ok::<(), Infallible>(())
    });
    stop.cancel();
    let error = group.join(Duration::from_millis(1500)).await.unwrap_err();
    assert_eq!(error.to_string(), "still running 1.5 s after being asked to stop: processor");
    assert_eq!(Arc::strong_count(&dropped), 1, "what ran on must be gone");
    assert_eq!(diary.read(), ["simulator"]);
}

#[tokio::test]
async fn a_task_that_is_done_stops_nobody_until_only_admin_is_left() {
    let mut group = ServiceGroup::new(CancellationToken::new());
    let diary = Diary::default();
    let (done, wait) = tokio::sync::oneshot::channel::<()>();
    let seen = diary.clone();
    group.spawn(Stage::Source, "simulator", |_| async move {
        drop(done);
        Ok::<(), Infallible>(())
    });
    group.spawn(Stage::Transform, "processor", |stop| async move {
        // Its input ended; it was not asked to stop.
        assert!(wait.await.is_err());
        assert!(!stop.is_cancelled());
        seen.0.lock().unwrap().push("processor");
        Ok::<(), Infallible>(())
    });
    diary.add(&mut group, Stage::Admin, "admin");
    group.join(LONG).await.unwrap();
    assert_eq!(diary.read(), ["processor", "admin"]);
}

#[tokio::test]
async fn an_empty_group_has_ended() {
    ServiceGroup::new(CancellationToken::new()).join(LONG).await.unwrap();
}
