//! One writer takes over from another.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use prometheus::Registry;
use pulse_anomaly_writer::{Metrics, WriterError, WriterOptions, WriterReport, run};
use pulse_core::names::{GROUP_WRITER, TOPIC_ANOMALIES, dead_letter_topic};
use pulse_core::ports::{AnomalyQuery as _, AnomalyStore, Applied, EventProducer as _, OffsetSpan};
use pulse_core::{Anomaly, NewRecord};
use pulse_runtime::Health;
use pulse_store::{EmbeddedAnomalyStore, EmbeddedStore, StoreError};
use pulse_testkit::{FixedClock, TempStore, anomaly_record};
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
    fn start<A: AnomalyStore>(store: &EmbeddedStore, anomalies: A) -> anyhow::Result<Self> {
        let (registry, stop, health) = (Registry::new(), CancellationToken::new(), Health::starting("test"));
        let options = WriterOptions { batch_records: 64, ..WriterOptions::default() };
        let (source, metrics) = (store.source(GROUP_WRITER, TOPIC_ANOMALIES), Metrics::new(&registry)?);
        let work = run(source, anomalies, store.producer(), options, metrics, health.clone(), stop.clone());
        Ok(Self { task: tokio::spawn(work), stop, registry, health })
    }

    /// How many it has stored.
    fn stored(registry: &Registry) -> u64 {
        let families = registry.gather();
        let family = families.iter().find(|family| family.name() == "pulse_writer_anomalies_total");
        family.map_or(0, |family| family.get_metric()[0].get_counter().get_value() as u64)
    }
}

async fn opened(place: &TempStore, partitions: u32) -> anyhow::Result<EmbeddedStore> {
    let store = EmbeddedStore::open(place.file(), Arc::new(FixedClock::default())).await?;
    store.create_topic(TOPIC_ANOMALIES, partitions).await?;
    store.create_topic(&dead_letter_topic(TOPIC_ANOMALIES), 1).await?;
    Ok(store)
}

fn records(from: u64, to: u64) -> serde_json::Result<Vec<NewRecord>> {
    (from..to).map(anomaly_record).collect()
}

/// Whether each of the first `count` anomalies is stored once.
async fn whole(store: &EmbeddedStore, count: u64) -> anyhow::Result<bool> {
    let found = store.query().since(0, 1_000_000).await?;
    let mut offsets: Vec<u64> = found.iter().map(|stored| stored.anomaly.offset).collect();
    offsets.sort_unstable();
    Ok(offsets.into_iter().eq(0..count))
}

/// A store that another writer is always a little ahead of.
struct Overtaken {
    inner: EmbeddedAnomalyStore,
    other: EmbeddedAnomalyStore,
    /// Times left.
    times: u32,
}

impl AnomalyStore for Overtaken {
    type Error = StoreError;

    async fn positions(&mut self, topic: &str) -> Result<Vec<(u32, u64)>, StoreError> {
        self.inner.positions(topic).await
    }

    async fn store(&mut self, rows: &[Anomaly], span: &OffsetSpan) -> Result<Applied, StoreError> {
        if self.times > 0 && rows.len() > 3 {
            self.times -= 1;
            // One partition without holes: three rows take three offsets.
            self.other.store(&rows[..3], &OffsetSpan { to: span.from + 3, ..span.clone() }).await?;
        }
        self.inner.store(rows, span).await
    }
}

#[tokio::test]
async fn what_another_writer_has_stored_first_is_left_out() -> anyhow::Result<()> {
    let place = TempStore::new()?;
    let store = opened(&place, 1).await?;
    store.producer().append(records(0, 200)?).await?;
    let overtaken = Overtaken { inner: store.anomaly_store(), other: store.anomaly_store(), times: 4 };
    let writer = Running::start(&store, overtaken)?;
    writer.stop.cancel();
    let report = writer.task.await??;
    assert_eq!(report, WriterReport { anomalies: 200 - 12, dead_letters: 0, drained: true });
    assert!(whole(&store, 200).await?);
    Ok(())
}

#[tokio::test]
async fn a_gap_still_ends_the_writer() -> anyhow::Result<()> {
    let place = TempStore::new()?;
    let store = opened(&place, 1).await?;
    let writer = Running::start(&store, Exchanged(store.anomaly_store()))?;
    store.producer().append(records(0, 10)?).await?;
    let ended = tokio::time::timeout(Duration::from_secs(30), writer.task).await??;
    assert!(matches!(ended, Err(WriterError::Store(_))), "{ended:?}");
    Ok(())
}

/// A store that lost what it had said it holds.
struct Exchanged(EmbeddedAnomalyStore);

impl AnomalyStore for Exchanged {
    type Error = StoreError;

    async fn positions(&mut self, topic: &str) -> Result<Vec<(u32, u64)>, StoreError> {
        self.0.positions(topic).await
    }

    async fn store(&mut self, rows: &[Anomaly], span: &OffsetSpan) -> Result<Applied, StoreError> {
        let lost = OffsetSpan { from: 0, to: 1, ..span.clone() };
        self.0.store(&[], &lost).await?;
        self.0.store(rows, &OffsetSpan { from: span.from + 5, to: span.to + 5, ..span.clone() }).await
    }
}

#[tokio::test]
async fn writers_that_take_over_under_traffic_store_all_once() -> anyhow::Result<()> {
    const COUNT: u64 = 20_000;
    let place = TempStore::new()?;
    let store = opened(&place, 12).await?;
    let mut producer = store.producer();
    let traffic = tokio::spawn(async move {
        for from in (0..COUNT).step_by(50) {
            producer.append(records(from, from + 50)?).await?;
        }
        anyhow::Ok(())
    });
    let mut writer = Running::start(&store, store.anomaly_store())?;
    let mut sum = 0;
    for _ in 0..4 {
        writer.health.ready().await;
        let next = Running::start(&store, store.anomaly_store())?;
        let before = std::mem::replace(&mut writer, next);
        let ended = tokio::time::timeout(Duration::from_secs(30), before.task).await.context("it was not fenced")??;
        assert!(matches!(ended, Err(WriterError::Source(_))), "{ended:?}");
        sum += Running::stored(&before.registry);
    }
    traffic.await??;
    writer.stop.cancel();
    assert!(writer.task.await??.drained);
    assert!(whole(&store, COUNT).await?);
    assert_eq!(sum + Running::stored(&writer.registry), COUNT, "none was stored by two");
    Ok(())
}
