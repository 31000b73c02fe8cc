//! Tests of whole runs against a log in memory.

use std::fs;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::LazyLock;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use proptest::prelude::*;
use pulse_core::ports::Clock;
use pulse_core::{Classify, ErrorClass, Headers, NewRecord, Record, names, partition_of};
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

const PARTITIONS: usize = 5;

/// What an append does besides.
#[derive(Debug, Clone)]
enum Fate {
    /// A part of each partition's records comes through, from 0 to 255 of 255, and an error comes back.
    Cut([u8; PARTITIONS], ErrorClass),
    /// It comes through, and the run is stopped.
    Stops,
}

/// A log; shared, so that it outlives its producers.
#[derive(Clone, Default)]
struct FakeLog {
    partitions: Arc<Mutex<[Vec<NewRecord>; PARTITIONS]>>,
    fates: Arc<Mutex<Vec<Option<Fate>>>>,
    stop: CancellationToken,
}

impl EventProducer for FakeLog {
    type Error = Away;

    async fn append(&mut self, records: Vec<NewRecord>) -> Result<(), Away> {
        let fate = self.fates.lock().unwrap().pop().flatten();
        let mut of_partitions: [Vec<NewRecord>; PARTITIONS] = Default::default();
        for record in records {
            let key = record.key.as_deref().expect("every event has a key");
            of_partitions[partition_of(key, PARTITIONS as u32) as usize].push(record);
        }
        if let Some(Fate::Cut(parts, _)) = &fate {
            for (records, part) in of_partitions.iter_mut().zip(parts) {
                records.truncate((records.len() * usize::from(*part)).div_ceil(255));
            }
        }
        let mut partitions = self.partitions.lock().unwrap();
        partitions.iter_mut().zip(of_partitions).for_each(|(partition, records)| partition.extend(records));
        match fate {
            Some(Fate::Cut(_, class)) => return Err(Away(class)),
            Some(Fate::Stops) => self.stop.cancel(),
            None => {}
        }
        Ok(())
    }

    async fn partitions(&mut self, topic: &str) -> Result<u32, Away> {
        assert_eq!(topic, "trips");
        Ok(PARTITIONS as u32)
    }

    async fn last_records(&mut self, topic: &str) -> Result<Vec<Record>, Away> {
        assert_eq!(topic, "trips");
        let last = |partition: &Vec<NewRecord>| {
            let NewRecord { timestamp, key, payload, headers, .. } = partition.last()?.clone();
            Some(Record { offset: partition.len() as u64 - 1, timestamp, key, payload, headers })
        };
        Ok(self.partitions.lock().unwrap().iter().filter_map(last).collect())
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

/// What each partition holds.
fn contents(log: &FakeLog) -> [Vec<NewRecord>; PARTITIONS] {
    log.partitions.lock().unwrap().clone()
}

fn count(log: &FakeLog) -> u64 {
    contents(log).iter().map(|partition| partition.len() as u64).sum()
}

/// All records in the order of their numbers.
fn in_order(log: &FakeLog) -> Vec<NewRecord> {
    let mut records = contents(log).concat();
    records.sort_by_key(sequence_of);
    records
}

fn sequence_of(record: &NewRecord) -> u64 {
    record.headers.get_str(names::HEADER_SEQUENCE).unwrap().parse().unwrap()
}

fn times(log: &FakeLog) -> Vec<i64> {
    in_order(log).iter().map(|record| record.timestamp).collect()
}

/// The log of a run as fast as possible that was never disturbed.
static UNDISTURBED: LazyLock<[Vec<NewRecord>; PARTITIONS]> = LazyLock::new(|| undisturbed(Pace::Max, 9000));

fn undisturbed(rate: Pace, events: u64) -> [Vec<NewRecord>; PARTITIONS] {
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
        fates in proptest::collection::vec(proptest::option::of(fate()), 0..12),
        sizes in proptest::collection::vec(1_u64..5000, 12),
    ) {
        let mut log = FakeLog { fates: Arc::new(Mutex::new(fates)), ..FakeLog::default() };
        let total = 9000;
        let mut sizes = sizes.into_iter().chain(std::iter::repeat(total));
        while count(&log) < total {
            let events = sizes.next().unwrap().min(total - count(&log));
            log.stop = CancellationToken::new();
            let _interrupted = block_on(go(&log, options(Pace::Max, events)));
        }
        prop_assert!(contents(&log) == *UNDISTURBED);
    }
}

fn fate() -> impl Strategy<Value = Fate> {
    let part = || prop_oneof![Just(0), any::<u8>(), Just(255)];
    let parts = [part(), part(), part(), part(), part()];
    let class = prop_oneof![Just(ErrorClass::Retry), Just(ErrorClass::Fatal)];
    prop_oneof![(parts, class).prop_map(|(parts, class)| Fate::Cut(parts, class)), Just(Fate::Stops)]
}

#[test]
fn what_others_write_hides_nothing_and_doubles_nothing() {
    let log = FakeLog::default();
    // Partitions that hold events, the one with the last event first.
    let whole = undisturbed(Pace::Max, 2000);
    let last = |at: &usize| whole[*at].last().map(sequence_of);
    let mut used: Vec<usize> = (0..PARTITIONS).filter(|at| last(at).is_some()).collect();
    used.sort_by_key(|at| std::cmp::Reverse(last(at)));
    let [_, cut, foreign, ..] = used[..] else { panic!("the zones lie in too few partitions: {used:?}") };
    let mut parts = [255; PARTITIONS];
    parts[cut] = 0;
    log.fates.lock().unwrap().push(Some(Fate::Cut(parts, ErrorClass::Fatal)));
    block_on(go(&log, options(Pace::Max, 2000))).unwrap_err();
    let known = count(&log);
    for headers in [
        Headers::new([(names::HEADER_USE_CASE, &b"other"[..]), (names::HEADER_SEQUENCE, b"99999")]),
        Headers::default(),
    ] {
        let (topic, payload) = ("trips".into(), "not ours".into());
        let record = NewRecord { topic, partition: None, timestamp: 0, key: None, payload, headers };
        log.partitions.lock().unwrap()[foreign].push(record);
    }
    let report = block_on(go(&log, options(Pace::Max, 500))).unwrap();
    assert_eq!((count(&log), report.events), (known + 2 + 500, 500));
    let expected = undisturbed(Pace::Max, report.next_sequence);
    for (number, (found, expected)) in contents(&log).into_iter().zip(expected).enumerate() {
        let ours: Vec<NewRecord> = found.into_iter().filter(|record| record.payload != "not ours").collect();
        // Where an end is not known, what was cut is not made up for.
        assert!(if number == cut { expected.ends_with(&ours) } else { ours == expected }, "partition {number}");
    }
}

#[test]
fn a_fatal_error_ends_the_run() {
    let log = FakeLog::default();
    log.fates.lock().unwrap().push(Some(Fate::Cut([0; PARTITIONS], ErrorClass::Fatal)));
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
        in_order(&log).iter().filter(|record| record.headers.get(names::HEADER_LABEL).is_some()).count() as u64;
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
