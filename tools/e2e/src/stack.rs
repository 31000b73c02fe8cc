//! The servers, and where things are.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use pulse_core::ports::AnomalyQuery as _;
use pulse_kafka::KafkaSettings;
use pulse_runtime::SystemClock;
use pulse_store::{PostgresSettings, PostgresStore, PostgresTls};
use pulse_testkit::servers::kafka::KafkaServer;
use pulse_testkit::servers::postgres::TestDatabase;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::process::Process;

/// Longer than anything takes on a loaded machine; a test that waits this long has failed.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// A broker and a database that belong to one test.
#[derive(Debug)]
pub struct Stack {
    /// The broker.
    pub kafka: KafkaServer,
    /// The database.
    pub database: TestDatabase,
    /// Before the broker is gone, its folder stays.
    _folder: TempDir,
    usecases: PathBuf,
    /// Last, as the place is free when all else is gone.
    _place: SemaphorePermit<'static>,
}

/// Stacks of one process that run at once. Each has a broker of its own, half a gigabyte, beside its services; tests come
/// as many at once as there are cores.
static PLACES: Semaphore = Semaphore::const_new(STACKS as usize);
const STACKS: u32 = 2;

impl Stack {
    /// Starts them, once fewer than two others run. The use cases are those that are shipped, unless
    /// [`with_usecases`](Self::with_usecases) says otherwise.
    ///
    /// # Errors
    /// When a server cannot be started.
    pub async fn start() -> anyhow::Result<Self> {
        let place = PLACES.acquire().await?;
        let folder = tempfile::tempdir()?;
        let kafka = KafkaServer::start(&folder.path().join("kafka")).context("Kafka")?;
        let database = TestDatabase::new().context("Postgres")?;
        let usecases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../usecases");
        Ok(Self { kafka, database, _folder: folder, usecases, _place: place })
    }

    /// Takes the use cases of another folder.
    #[must_use]
    pub fn with_usecases(mut self, usecases: &Path) -> Self {
        usecases.clone_into(&mut self.usecases);
        self
    }

    /// The folder of the use cases.
    #[must_use]
    pub fn usecases(&self) -> &Path {
        &self.usecases
    }

    /// How to reach the broker.
    #[must_use]
    pub fn kafka_settings(&self) -> KafkaSettings {
        KafkaSettings::new(self.kafka.brokers())
    }

    /// Starts a service of `use_case`, with `more` in its environment.
    ///
    /// # Errors
    /// When its binary was not built, or does not start.
    pub fn service(&self, binary: &str, use_case: &str, more: &[(&str, &str)]) -> anyhow::Result<Process> {
        let (brokers, port) = (self.kafka.brokers(), self.database.port.to_string());
        let usecases = self.usecases.to_str().context("the folder of the use cases is no text")?;
        let mut environment =
            vec![("USE_CASE", use_case), ("PULSE__USECASES", usecases), ("PULSE__KAFKA__BROKERS", &brokers)];
        environment.extend(reach(&self.database, &port));
        environment.extend(more);
        Process::start(binary, &environment)
    }

    /// The database, as a program of ours sees it.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn store(&self) -> anyhow::Result<PostgresStore> {
        store(&self.database).await
    }

    /// Every stored anomaly of `use_case`, by id, without the one field that may differ between two runs.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn stored(&self, use_case: &str) -> anyhow::Result<Vec<Value>> {
        stored(&self.database, use_case).await
    }

    /// How many anomalies are stored, of all use cases.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn count(&self) -> anyhow::Result<u64> {
        let store = self.store().await?;
        let count = store.query().last_sequence().await?;
        store.close().await;
        Ok(count)
    }
}

/// What tells a service how to reach `database`, at `port`.
pub(crate) fn reach<'a>(database: &'a TestDatabase, port: &'a str) -> [(&'a str, &'a str); 5] {
    [
        ("PULSE__POSTGRES__HOST", &database.host),
        ("PULSE__POSTGRES__PORT", port),
        ("PULSE__POSTGRES__DATABASE", &database.name),
        ("PULSE__POSTGRES__USER", database.user),
        ("PULSE__POSTGRES__PASSWORD", database.password),
    ]
}

/// A place for something that is as large as two stacks.
pub(crate) async fn all_places() -> anyhow::Result<SemaphorePermit<'static>> {
    Ok(PLACES.acquire_many(STACKS).await?)
}

async fn store(database: &TestDatabase) -> anyhow::Result<PostgresStore> {
    let settings = PostgresSettings {
        host: database.host.clone(),
        port: database.port,
        database: database.name.clone(),
        user: database.user.to_owned(),
        password: Some(database.password.to_owned()),
        tls: PostgresTls::Disable,
        tls_ca: None,
        application: "tests".to_owned(),
        max_connections: 2,
    };
    let store = PostgresStore::connect(&settings, Arc::new(SystemClock)).await?;
    store.migrate().await?;
    Ok(store)
}

/// As [`Stack::stored`].
pub(crate) async fn stored(database: &TestDatabase, use_case: &str) -> anyhow::Result<Vec<Value>> {
    let store = store(database).await?;
    let mut anomalies = Vec::new();
    for stored in store.query().since(0, 1_000_000).await?.iter().filter(|s| s.anomaly.use_case == use_case) {
        let mut anomaly = serde_json::to_value(&stored.anomaly)?;
        anomaly.as_object_mut().and_then(|fields| fields.remove("detected_at")).context("no detected_at")?;
        anomalies.push(anomaly);
    }
    anomalies.sort_by(|a, b| a["id"].as_str().cmp(&b["id"].as_str()));
    store.close().await;
    Ok(anomalies)
}

/// Waits until `met` says so.
///
/// # Errors
/// When it fails, or takes longer than [`PATIENCE`]; `what` says what was waited for.
pub async fn until(what: &str, mut met: impl AsyncFnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let started = Instant::now();
    while !met().await? {
        if started.elapsed() > PATIENCE {
            bail!("waited in vain for {what}");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
