//! Measures both stores of anomalies: `cargo run --release -p pulse-store --features postgres --example anomalies -- [rows]`.
//!
//! Stores anomalies in batches of several sizes in a new file, and in a new database on the server that
//! `PULSE_TEST_POSTGRES` names (else on one that is started for it, which cares for no power cut); then a million (or
//! `rows`), and asks what the dashboard asks.
#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use jiff::SignedDuration;
use pulse_core::Severity;
use pulse_core::ports::{AnomalyFilter, AnomalyQuery, AnomalyStore, GroupBy, OffsetSpan};
use pulse_store::{EmbeddedStore, PostgresSettings, PostgresStore};
use pulse_testkit::servers::postgres::TestDatabase;
use pulse_testkit::{FixedClock, TempStore, spread_anomaly};

/// Rows by which batch sizes are compared.
const COMPARED: u64 = 100_000;
const BATCHES: [u64; 5] = [1, 100, 500, 2_000, 10_000];

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let rows = std::env::args().nth(1).map_or(Ok(1_000_000), |text| text.parse()).context("the number of rows")?;
    for batch in BATCHES {
        // One by one, it is the commits that are measured.
        let rows = COMPARED.min(batch * 2_000);
        let (file, database) = (Embedded::new().await?, Postgres::new().await?);
        store("SQLite", file.store.anomaly_store(), rows, batch).await?;
        store("Postgres", database.store.anomaly_store(), rows, batch).await?;
    }
    let (file, database) = (Embedded::new().await?, Postgres::new().await?);
    store("SQLite", file.store.anomaly_store(), rows, 2_000).await?;
    store("Postgres", database.store.anomaly_store(), rows, 2_000).await?;
    let sizes = database.database.psql(
        "SELECT 'table ' || pg_size_pretty(sum(pg_table_size(inhrelid))) || ', indexes ' || \
         pg_size_pretty(sum(pg_indexes_size(inhrelid))) FROM pg_inherits WHERE inhparent = 'anomalies'::regclass",
    )?;
    println!("Postgres: {sizes}");
    // The server does this by itself, some time after so many rows.
    database.database.psql("VACUUM ANALYZE anomalies")?;
    queries("SQLite", file.store.query(), rows).await?;
    queries("Postgres", database.store.query(), rows).await
}

struct Embedded {
    store: EmbeddedStore,
    _place: TempStore,
}

impl Embedded {
    async fn new() -> anyhow::Result<Self> {
        let place = TempStore::new()?;
        Ok(Self { store: EmbeddedStore::open(place.file(), Arc::new(FixedClock::default())).await?, _place: place })
    }
}

struct Postgres {
    store: PostgresStore,
    database: TestDatabase,
}

impl Postgres {
    async fn new() -> anyhow::Result<Self> {
        let database = TestDatabase::new()?;
        let settings = PostgresSettings {
            host: database.host.clone(),
            port: database.port,
            database: database.name.clone(),
            user: database.user.to_owned(),
            password: Some(database.password.to_owned()),
            ..PostgresSettings::default()
        };
        let store = PostgresStore::connect(&settings, Arc::new(FixedClock::default())).await?;
        store.migrate().await?;
        Ok(Self { store, database })
    }
}

async fn store(name: &str, mut store: impl AnomalyStore, rows: u64, batch: u64) -> anyhow::Result<()> {
    let mut took = Vec::new();
    for from in (0..rows).step_by(batch as usize) {
        let to = rows.min(from + batch);
        let part: Vec<_> = (from..to).map(spread_anomaly).collect();
        let span = OffsetSpan { topic: "anomalies".into(), partition: 0, from, to };
        let begin = Instant::now();
        store.store(&part, &span).await?;
        took.push(begin.elapsed());
    }
    let per_second = rows as f64 / took.iter().sum::<Duration>().as_secs_f64();
    took.sort_unstable();
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize];
    println!(
        "{name}: {rows} rows, {batch} at once: {per_second:.0} rows/s, median {:.2?}, p99 {:.2?}",
        at(0.5),
        at(0.99)
    );
    Ok(())
}

async fn queries(name: &str, query: impl AnomalyQuery, rows: u64) -> anyhow::Result<()> {
    let to = spread_anomaly(rows).event_time;
    let window =
        AnomalyFilter { from: Some(to - SignedDuration::from_mins(15)), to: Some(to), ..AnomalyFilter::default() };
    let entity = || Some("Zone 7".to_owned());
    let filters = [
        ("window", window.clone()),
        ("window, use case", AnomalyFilter { use_case: Some("nyc_taxi".into()), ..window.clone() }),
        ("window, entity", AnomalyFilter { entity: entity(), ..window.clone() }),
        ("window, detector", AnomalyFilter { detector: Some("rolling_zscore".into()), ..window.clone() }),
        ("window, critical", AnomalyFilter { severity: Some(Severity::Critical), ..window }),
        ("all", AnomalyFilter::default()),
        ("all, entity", AnomalyFilter { entity: entity(), ..AnomalyFilter::default() }),
        ("all, detector that never fired", AnomalyFilter { detector: Some("none".into()), ..AnomalyFilter::default() }),
    ];
    for (what, filter) in filters {
        let latest = timed(query.latest(&filter, 200)).await?;
        let series = timed(query.series(&filter, 10_000)).await?;
        let mut top = Vec::new();
        for by in [GroupBy::Entity, GroupBy::Detector, GroupBy::Severity, GroupBy::UseCase] {
            top.push(timed(query.top(by, &filter, 10)).await?);
        }
        println!("{name}, {what}: latest {latest:.1?}, series {series:.1?}, top {top:.1?}");
    }
    let since = timed(query.since(rows - 200, 200)).await?;
    let last = timed(query.last_sequence()).await?;
    let get = timed(query.get(&spread_anomaly(rows / 2).id)).await?;
    println!("{name}: since {since:.1?}, last sequence {last:.1?}, get {get:.1?}");
    Ok(())
}

async fn timed<T, E: std::error::Error + Send + Sync + 'static>(
    call: impl Future<Output = Result<T, E>>,
) -> anyhow::Result<Duration> {
    let begin = Instant::now();
    call.await?;
    Ok(begin.elapsed())
}
