//! The writer on the embedded store.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use prometheus::Registry;
use pulse_anomaly_writer::{Metrics, WriterError, WriterOptions, WriterReport, run};
use pulse_core::names::{GROUP_WRITER, HEADER_ORIGIN, HEADER_REASONS, TOPIC_ANOMALIES, dead_letter_topic};
use pulse_core::ports::{AnomalyQuery as _, AnomalyStore, Applied, EventProducer as _, OffsetSpan};
use pulse_core::{Anomaly, Classify, ErrorClass, NewRecord};
use pulse_runtime::Health;
use pulse_store::{EmbeddedAnomalyStore, EmbeddedStore, StoreError};
use pulse_testkit::contract::read;
use pulse_testkit::{FixedClock, TempStore, anomaly, anomaly_record};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A writer at work.
struct Running {
    task: JoinHandle<Result<WriterReport, WriterError>>,
    stop: CancellationToken,
    registry: Registry,
    health: Health,
}

impl Running {
    fn start<A: AnomalyStore>(store: &EmbeddedStore, anomalies: A, options: WriterOptions) -> anyhow::Result<Self> {
        let (registry, stop) = (Registry::new(), CancellationToken::new());
        let health = Health::starting("test");
        let source = store.source(GROUP_WRITER, TOPIC_ANOMALIES);
        let metrics = Metrics::new(&registry)?;
        let task =
            tokio::spawn(run(source, anomalies, store.producer(), options, metrics, health.clone(), stop.clone()));
        Ok(Self { task, stop, registry, health })
    }

    async fn stop(self) -> anyhow::Result<WriterReport> {
        self.stop.cancel();
        Ok(self.task.await??)
    }

    /// Whether the metrics have a line that `name` and `value` make.
    fn shows(&self, name: &str, value: impl Fn(f64) -> bool) -> anyhow::Result<bool> {
        let text = prometheus::TextEncoder::new().encode_to_string(&self.registry.gather())?;
        let mut values = text.lines().filter_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        Ok(values.any(value))
    }
}

async fn opened(place: &TempStore) -> anyhow::Result<EmbeddedStore> {
    let store = EmbeddedStore::open(place.file(), Arc::new(FixedClock::default())).await?;
    store.create_topic(TOPIC_ANOMALIES, 12).await?;
    store.create_topic(&dead_letter_topic(TOPIC_ANOMALIES), 1).await?;
    Ok(store)
}

fn options() -> WriterOptions {
    WriterOptions {
        first_pause: Duration::from_millis(1),
        longest_pause: Duration::from_millis(5),
        ..Default::default()
    }
}

fn records(from: u64, to: u64) -> anyhow::Result<Vec<NewRecord>> {
    Ok((from..to).map(anomaly_record).collect::<Result<_, _>>()?)
}

/// The event offsets of all stored anomalies, sorted.
async fn stored(store: &EmbeddedStore) -> anyhow::Result<Vec<u64>> {
    let found = store.query().since(0, 1_000_000).await?;
    let mut offsets: Vec<u64> = found.iter().map(|stored| stored.anomaly.offset).collect();
    offsets.sort_unstable();
    Ok(offsets)
}

async fn until(store: &EmbeddedStore, count: usize) -> anyhow::Result<()> {
    let enough = async {
        while stored(store).await?.len() < count {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(Duration::from_secs(30), enough).await.context("they were never stored")?
}

#[tokio::test]
async fn everything_before_the_stop_is_stored() -> anyhow::Result<()> {
    let place = TempStore::new()?;
    let store = opened(&place).await?;
    let writer = Running::start(&store, store.anomaly_store(), options())?;
    for batch in 0..10 {
        store.producer().append(records(batch * 500, batch * 500 + 500)?).await?;
    }
    let (registry, health) = (writer.registry.clone(), writer.health.clone());
    let report = writer.stop().await?;
    assert_eq!(report, WriterReport { anomalies: 5000, dead_letters: 0, drained: true });
    assert!(stored(&store).await?.into_iter().eq(0..5000));
    let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather())?;
    assert!(text.contains("pulse_writer_anomalies_total 5000\n") && text.contains("pulse_writer_lag_records 0\n"));
    assert!(health.is_ready());
    Ok(())
}

#[tokio::test]
async fn an_anomaly_is_stored_soon_without_others() -> anyhow::Result<()> {
    let place = TempStore::new()?;
    let store = opened(&place).await?;
    let writer = Running::start(&store, store.anomaly_store(), options())?;
    writer.health.ready().await;
    store.producer().append(records(0, 1)?).await?;
    until(&store, 1).await?;
    assert_eq!(writer.stop().await?.anomalies, 1);
    Ok(())
}

#[tokio::test]
async fn a_restart_in_the_middle_neither_loses_nor_doubles() -> anyhow::Result<()> {
    let place = TempStore::new()?;
    for round in 0..5_u64 {
        let store = opened(&place).await?;
        let writer = Running::start(&store, store.anomaly_store(), WriterOptions { batch_records: 50, ..options() })?;
        store.producer().append(records(round * 2000, round * 2000 + 2000)?).await?;
        until(&store, usize::try_from(round)? * 700 + 300).await?;
        // As a crash does: wherever it stands.
        writer.task.abort();
        drop(writer.task.await);
        store.close().await;
    }
    let store = opened(&place).await?;
    let report = Running::start(&store, store.anomaly_store(), options())?.stop().await?;
    assert!(report.drained);
    assert!(stored(&store).await?.into_iter().eq(0..10_000));
    Ok(())
}

#[tokio::test]
async fn what_is_no_anomaly_is_set_aside_with_the_reason() -> anyhow::Result<()> {
    let place = TempStore::new()?;
    let store = opened(&place).await?;
    let mut all = records(0, 20)?;
    let nonsense = ["", "{", "{\"id\": 1}", "[]"];
    for (i, text) in nonsense.into_iter().enumerate() {
        all.insert(i * 5, NewRecord { payload: Bytes::from(text), ..all[0].clone() });
    }
    // It parses, but an offset beyond 63 bits has no place in a column.
    let unfit = Anomaly { offset: u64::MAX, ..anomaly(99) };
    all.insert(7, NewRecord { payload: serde_json::to_vec(&unfit)?.into(), ..all[1].clone() });
    store.producer().append(all).await?;
    let report = Running::start(&store, store.anomaly_store(), options())?.stop().await?;
    assert_eq!(report, WriterReport { anomalies: 20, dead_letters: 5, drained: true });
    assert!(stored(&store).await?.into_iter().eq(0..20));
    let letters = read(&mut store.source("test", &dead_letter_topic(TOPIC_ANOMALIES)), 5, 100).await?;
    let letters: Vec<_> = letters.into_iter().flat_map(|batch| batch.records).collect();
    for text in nonsense {
        let letter = letters.iter().find(|letter| letter.payload == text).context("a record is missing")?;
        let reasons: serde_json::Value = serde_json::from_slice(letter.headers.get(HEADER_REASONS).unwrap())?;
        assert!(reasons[0]["message"].as_str().unwrap().starts_with("not an anomaly record: "), "{reasons}");
        assert!(letter.headers.get_str(HEADER_ORIGIN).unwrap().starts_with("anomalies/"));
    }
    let unfit = letters.iter().find(|letter| letter.payload.len() > 100).context("the unfit one is missing")?;
    assert!(unfit.headers.get_str(HEADER_REASONS).unwrap().contains("18446744073709551615"));
    Ok(())
}

/// A database that fails as a full disk does, a number of times before each success.
struct Flaky {
    inner: EmbeddedAnomalyStore,
    failures: u32,
    left: u32,
}

#[derive(Debug, thiserror::Error)]
enum FlakyError {
    #[error("the database is away")]
    Away,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Classify for FlakyError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Away => ErrorClass::Retry,
            Self::Store(error) => error.class(),
        }
    }
}

impl AnomalyStore for Flaky {
    type Error = FlakyError;

    async fn positions(&mut self, topic: &str) -> Result<Vec<(u32, u64)>, FlakyError> {
        Ok(self.inner.positions(topic).await?)
    }

    async fn store(&mut self, rows: &[Anomaly], span: &OffsetSpan) -> Result<Applied, FlakyError> {
        if self.left > 0 {
            self.left -= 1;
            return Err(FlakyError::Away);
        }
        self.left = self.failures;
        Ok(self.inner.store(rows, span).await?)
    }
}

#[tokio::test]
async fn a_database_that_is_away_is_waited_for() -> anyhow::Result<()> {
    let place = TempStore::new()?;
    let store = opened(&place).await?;
    let flaky = Flaky { inner: store.anomaly_store(), failures: 3, left: 3 };
    let writer = Running::start(&store, flaky, options())?;
    store.producer().append(records(0, 1000)?).await?;
    until(&store, 1000).await?;
    assert!(writer.shows("pulse_writer_retries_total", |retries| retries >= 3.0)?);
    let health = writer.health.clone();
    assert_eq!(writer.stop().await?.anomalies, 1000);
    assert!(health.is_ready());
    assert!(stored(&store).await?.into_iter().eq(0..1000));
    Ok(())
}

#[tokio::test]
async fn draining_ends_at_its_deadline_and_the_next_run_goes_on() -> anyhow::Result<()> {
    let place = TempStore::new()?;
    let store = opened(&place).await?;
    store.producer().append(records(0, 100)?).await?;
    let away = Flaky { inner: store.anomaly_store(), failures: 0, left: u32::MAX };
    let brief = WriterOptions { drain: Duration::from_millis(50), ..options() };
    let report = Running::start(&store, away, brief)?.stop().await?;
    assert_eq!(report, WriterReport { anomalies: 0, dead_letters: 0, drained: false });
    assert_eq!(Running::start(&store, store.anomaly_store(), options())?.stop().await?.anomalies, 100);
    assert!(stored(&store).await?.into_iter().eq(0..100));
    Ok(())
}

#[tokio::test]
async fn without_time_to_drain_it_stops_with_what_it_has() -> anyhow::Result<()> {
    let place = TempStore::new()?;
    let store = opened(&place).await?;
    let writer = Running::start(&store, store.anomaly_store(), WriterOptions { drain: Duration::ZERO, ..options() })?;
    store.producer().append(records(0, 100)?).await?;
    until(&store, 100).await?;
    assert_eq!(writer.stop().await?, WriterReport { anomalies: 100, dead_letters: 0, drained: true });
    Ok(())
}

#[tokio::test]
async fn a_second_writer_ends_the_first() -> anyhow::Result<()> {
    let place = TempStore::new()?;
    let store = opened(&place).await?;
    let first = Running::start(&store, store.anomaly_store(), options())?;
    first.health.ready().await;
    let second = Running::start(&store, store.anomaly_store(), options())?;
    let ended = tokio::time::timeout(Duration::from_secs(30), first.task).await??;
    assert!(matches!(ended, Err(WriterError::Source(_))), "{ended:?}");
    store.producer().append(records(0, 100)?).await?;
    assert_eq!(second.stop().await?.anomalies, 100);
    Ok(())
}
