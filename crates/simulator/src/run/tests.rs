//! Tests of whole runs against a log in memory.

use std::fs;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::LazyLock;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use proptest::prelude::*;
use pulse_core::ports::Clock;
use pulse_core::{Classify, ErrorClass, NewRecord, Record, names};
use tempfile::TempDir;
use tokio::sync::watch;

use super::*;
use crate::metrics::Metrics;
use crate::report::Progress;

const ROWS: u64 = 40;

/// A use case with a small sample: 80 rows a second apart, of which the second half is replayed.
static FOLDER: LazyLock<(TempDir, PathBuf)> = LazyLock::new(|| {
    let root = TempDir::new().unwrap();
    let folder = root.path().join("trips");
    fs::create_dir(&folder).unwrap();
    let config = "name: trips\nentity: { field: zone }\ntimestamp: { field: at }\nkafka: { topic: trips }\n\
        features: [{ name: fare, type: number }]\n\
        simulator: { anomalies: [{ name: spike, changes: [{ feature: fare, multiply: [4, 12] }] }] }\n";
    fs::write(folder.join("config.yaml"), config).unwrap();
    let rows: String =
        (0..2 * ROWS).map(|i| format!("{},zone {},{}.5\n", 1_600_000_000_000 + i * 1000, i % 7, i)).collect();
    fs::write(folder.join("sample.csv"), format!("at,zone,fare\n{rows}")).unwrap();
    let path = root.path().to_owned();
    (root, path)
});

struct FakeClock(AtomicI64);

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.0.load(Ordering::Relaxed)).unwrap()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the log is away")]
struct Away(ErrorClass);

impl Classify for Away {
    fn class(&self) -> ErrorClass {
        self.0
    }
}

/// What an append does besides.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Fails(ErrorClass),
    /// It comes through, yet an error comes back.
    Lies,
    /// It comes through, and the run is stopped.
    Stops,
}

/// A log of one partition; shared, so that it outlives its producers.
#[derive(Clone, Default)]
struct FakeLog {
    records: Arc<Mutex<Vec<NewRecord>>>,
    fates: Arc<Mutex<Vec<Option<Fate>>>>,
    stop: CancellationToken,
}

impl EventProducer for FakeLog {
    type Error = Away;

    async fn append(&mut self, records: Vec<NewRecord>) -> Result<(), Away> {
        let fate = self.fates.lock().unwrap().pop().flatten();
        if let Some(Fate::Fails(class)) = fate {
            return Err(Away(class));
        }
        self.records.lock().unwrap().extend(records);
        match fate {
            Some(Fate::Lies) => Err(Away(ErrorClass::Retry)),
            Some(Fate::Stops) => {
                self.stop.cancel();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    async fn last_records(&mut self, topic: &str) -> Result<Vec<Record>, Away> {
        assert_eq!(topic, "trips");
        let records = self.records.lock().unwrap();
        let last = records.last().cloned().map(|record| Record {
            offset: records.len() as u64 - 1,
            timestamp: record.timestamp,
            key: record.key,
            payload: record.payload,
            headers: record.headers,
        });
        Ok(last.into_iter().collect())
    }
}

fn links() -> Links {
    Links {
        clock: Arc::new(FakeClock(AtomicI64::new(1_700_000_000_000))),
        metrics: Metrics::new(&prometheus::Registry::new()).unwrap(),
        progress: Arc::new(Progress::default()),
        backpressure: None,
    }
}

fn options(rate: Pace, events: u64) -> SimulatorOptions {
    let start = Timestamp::from_second(1_650_000_000).ok();
    SimulatorOptions { rate, events: Some(events), anomaly_rate: 0.1, seed: 7, start }
}

async fn go(log: &FakeLog, options: SimulatorOptions) -> Result<SimulatorReport, SimulatorError> {
    go_with(log, options, links()).await
}

async fn go_with(log: &FakeLog, options: SimulatorOptions, links: Links) -> Result<SimulatorReport, SimulatorError> {
    let dir = UseCaseDir::load(&FOLDER.1, "trips").unwrap();
    let running: Pin<Box<dyn Future<Output = _> + Send + '_>> =
        Box::pin(run(log.clone(), &dir, options, links, log.stop.clone()));
    running.await
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap().block_on(future)
}

fn contents(log: &FakeLog) -> Vec<NewRecord> {
    log.records.lock().unwrap().clone()
}

fn times(log: &FakeLog) -> Vec<i64> {
    contents(log).iter().map(|record| record.timestamp).collect()
}

/// The log of a run as fast as possible that was never disturbed.
static UNDISTURBED: LazyLock<Vec<NewRecord>> = LazyLock::new(|| undisturbed(Pace::Max, 9000));

fn undisturbed(rate: Pace, events: u64) -> Vec<NewRecord> {
    let log = FakeLog::default();
    block_on(go(&log, options(rate, events))).unwrap();
    contents(&log)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_run_cut_anywhere_and_started_again_leaves_the_same_log(
        cuts in proptest::collection::vec(1_u64..1500, 1..5),
        pace in prop_oneof![Just(Pace::Max), Just(Pace::PerSecond(750.0)), Just(Pace::Speed(300.0))],
    ) {
        let log = FakeLog::default();
        for &events in &cuts {
            block_on(go(&log, options(pace, events))).unwrap();
        }
        prop_assert!(contents(&log) == undisturbed(pace, cuts.iter().sum()));
    }

    #[test]
    fn failures_neither_lose_nor_double_events(
        fates in proptest::collection::vec(proptest::option::of(prop_oneof![
            Just(Fate::Fails(ErrorClass::Retry)), Just(Fate::Lies), Just(Fate::Stops), Just(Fate::Fails(ErrorClass::Fatal)),
        ]), 0..12),
    ) {
        let mut log = FakeLog { fates: Arc::new(Mutex::new(fates)), ..FakeLog::default() };
        let total = 9000;
        while (contents(&log).len() as u64) < total {
            let events = total - contents(&log).len() as u64;
            log.stop = CancellationToken::new();
            let _interrupted = block_on(go(&log, options(Pace::Max, events)));
        }
        prop_assert!(contents(&log) == *UNDISTURBED);
    }
}

#[test]
fn a_fatal_error_ends_the_run() {
    let log = FakeLog::default();
    log.fates.lock().unwrap().push(Some(Fate::Fails(ErrorClass::Fatal)));
    let error = block_on(go(&log, options(Pace::Max, 10))).unwrap_err();
    assert_eq!((error.class(), error.to_string().as_str()), (ErrorClass::Fatal, "cannot append events"));
}

#[test]
fn the_report_progress_and_metrics_count_alike() {
    let (log, registry) = (FakeLog::default(), prometheus::Registry::new());
    let links = Links { metrics: Metrics::new(&registry).unwrap(), ..links() };
    let progress = Arc::clone(&links.progress);
    let report = block_on(go_with(&log, options(Pace::Max, 5000), links)).unwrap();
    let labelled =
        contents(&log).iter().filter(|record| record.headers.get(names::HEADER_LABEL).is_some()).count() as u64;
    assert_eq!((report.events, report.next_sequence, report.injected["spike"]), (5000, 5000, labelled));
    assert_eq!((progress.produced(), progress.injected()), (5000, labelled));
    assert!((400..600).contains(&labelled), "{labelled}");
    let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    assert!(text.contains("pulse_simulator_events_total 5000"), "{text}");
    assert!(text.contains(&format!("pulse_simulator_anomalies_injected_total{{kind=\"spike\"}} {labelled}")), "{text}");
}

#[test]
fn a_rate_is_kept_without_drift() {
    let log = FakeLog::default();
    let took = block_on(async {
        let began = Instant::now();
        go(&log, options(Pace::PerSecond(1000.0), 3001)).await.unwrap();
        began.elapsed()
    });
    assert!((3.0..3.02).contains(&took.as_secs_f64()), "{took:?}");
    let times = times(&log);
    assert_eq!((times[0], times[1], times[3000]), (1_650_000_000_000, 1_650_000_000_001, 1_650_000_003_000));
}

#[test]
fn a_speed_follows_the_sample() {
    let log = FakeLog::default();
    block_on(go(&log, options(Pace::Speed(10.0), 2 * ROWS))).unwrap();
    let times = times(&log);
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] == 100), "{times:?}");
}

#[test]
fn without_a_start_time_begins_at_now() {
    let log = FakeLog::default();
    for rate in [Pace::Max, Pace::PerSecond(100.0), Pace::Speed(10.0)] {
        let options = SimulatorOptions { start: None, ..options(rate, 2) };
        block_on(go(&log, options)).unwrap();
    }
    let now = 1_700_000_000_000;
    assert_eq!(times(&log), [now, now, now, now + 10, now, now + 100]);
}

#[test]
fn it_waits_for_those_who_process_its_events() {
    let log = FakeLog::default();
    block_on(async {
        let (sender, processed) = watch::channel(0);
        let links = Links { backpressure: Some(Backpressure { processed, max_in_flight: 100 }), ..links() };
        let progress = Arc::clone(&links.progress);
        let running = go_with(&log, options(Pace::Max, 1000), links);
        let check = async {
            while progress.produced() < 100 {
                tokio::task::yield_now().await;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(progress.produced(), 100);
            sender.send(60).unwrap();
            while progress.produced() < 160 {
                tokio::task::yield_now().await;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(progress.produced(), 160);
            drop(sender);
        };
        let (report, ()) = tokio::join!(running, check);
        assert_eq!(report.unwrap().events, 160, "it ends when nobody processes any more");
    });
}

#[test]
fn options_are_checked() {
    for rate in [Pace::PerSecond(0.0), Pace::PerSecond(f64::NAN), Pace::Speed(-1.0), Pace::Speed(f64::INFINITY)] {
        let error = block_on(go(&FakeLog::default(), options(rate, 1))).unwrap_err();
        assert!(error.to_string().contains("must be a number above 0"), "{error}");
    }
}
