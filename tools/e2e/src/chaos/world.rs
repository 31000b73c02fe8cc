//! Everything that runs: brokers, database, services, and the doors between them.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use pulse_features::UseCaseDir;
use pulse_kafka::KafkaSettings;
use pulse_testkit::servers::kafka::{BROKERS, KafkaCluster};
use pulse_testkit::servers::postgres::TestDatabase;
use tempfile::TempDir;
use tokio::sync::SemaphorePermit;
use tokio::task::{JoinSet, spawn_blocking};

use super::door::Door;
use super::fleet::Fleet;
use super::plan::{Action, Network, Role, Step, Target};
use crate::stack;

/// Copies a use case from one folder into another, with another seed, from which another model comes, and another threshold.
fn another_version(from: &Path, to: &Path, use_case: &str) -> anyhow::Result<UseCaseDir> {
    let copy = to.join(use_case);
    fs::create_dir_all(&copy)?;
    for entry in fs::read_dir(from.join(use_case))? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), copy.join(entry.file_name()))?;
        }
    }
    let config = copy.join("config.yaml");
    let text = fs::read_to_string(&config)?;
    let other: Vec<String> = text
        .lines()
        .map(|line| match line.trim_start().split_once(": ") {
            Some(("seed", "42")) => line.replace("42", "43"),
            // Another threshold, so that also what the rolling rule says is another.
            Some(("threshold", number)) if number.parse::<u32>().is_ok() => format!("{line}.5"),
            _ => line.to_owned(),
        })
        .collect();
    let changed = text.lines().zip(&other).filter(|(before, after)| before != after).count();
    let wanted = 1 + usize::from(text.contains("isolation_forest:"));
    ensure!(changed == wanted, "{changed} settings of {use_case} were changed for another version, not {wanted}");
    fs::write(&config, other.join("\n"))?;
    Ok(UseCaseDir::load(to, use_case)?)
}

/// Three brokers, a database, and services. All end with the value.
#[derive(Debug)]
pub(super) struct World {
    /// Before the servers, as it must end first.
    pub(super) fleet: Fleet,
    pub(super) database: TestDatabase,
    pub(super) dir: UseCaseDir,
    /// Another version of it: other models come of it.
    pub(super) other: UseCaseDir,
    cluster: Arc<KafkaCluster>,
    /// Brokers that are being started.
    starting: JoinSet<anyhow::Result<()>>,
    brokers: [Door; BROKERS],
    postgres: Door,
    ml_services: Door,
    _folder: TempDir,
    _place: SemaphorePermit<'static>,
}

impl World {
    /// Starts servers, and as many of each service as `count` says, with `settings` in their
    /// environment, and waits until all are ready.
    pub(super) async fn start(
        use_case: &str,
        settings: &[(String, String)],
        count: impl Fn(Role) -> usize,
    ) -> anyhow::Result<Self> {
        let place = stack::all_places().await?;
        let folder = tempfile::tempdir()?;
        let brokers = [Door::new().await?, Door::new().await?, Door::new().await?];
        let (postgres, ml_services) = (Door::new().await?, Door::new().await?);
        let (data, doors) = (folder.path().to_owned(), [0, 1, 2].map(|broker: usize| brokers[broker].port()));
        let cluster = spawn_blocking(move || KafkaCluster::start(&data, doors)).await??;
        for (door, port) in brokers.iter().zip(cluster.ports()) {
            door.lead_to(&[port]);
        }
        let database = spawn_blocking(TestDatabase::new).await?.context("Postgres")?;
        postgres.lead_to(&[database.port]);
        let usecases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../usecases");
        let dir = UseCaseDir::load(&usecases, use_case)?;
        let second = folder.path().join("usecases");
        let other = another_version(&usecases, &second, use_case)?;
        let text = |folder: &Path| folder.to_str().map(str::to_owned).context("a folder of use cases is no text");
        let versions = [text(&usecases)?, text(&second)?];
        let port = postgres.port().to_string();
        let of_database = stack::reach(&database, &port).map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut environment = vec![
            ("USE_CASE".to_owned(), use_case.to_owned()),
            ("PULSE__KAFKA__BROKERS".to_owned(), cluster.brokers()),
            ("PULSE__SCORER__URL".to_owned(), format!("http://127.0.0.1:{}", ml_services.port())),
        ];
        environment.extend(of_database);
        environment.extend_from_slice(settings);
        let fleet = Fleet::new(environment, versions)?;
        ml_services.lead_to(fleet.ports());
        let (cluster, starting) = (Arc::new(cluster), JoinSet::new());
        let mut world = Self {
            fleet,
            database,
            dir,
            other,
            cluster,
            starting,
            brokers,
            postgres,
            ml_services,
            _folder: folder,
            _place: place,
        };
        for role in Role::ALL {
            for slot in 0..count(role) {
                world.fleet.act(role, slot, Action::Start).await?;
            }
        }
        for member in world.fleet.members() {
            member.process.ready().await.with_context(|| member.name.clone())?;
        }
        Ok(world)
    }

    /// How to reach the brokers.
    pub(super) fn kafka(&self) -> KafkaSettings {
        KafkaSettings::new(self.cluster.brokers())
    }

    /// Does what the plan says.
    pub(super) async fn act(&mut self, step: &Step) -> anyhow::Result<()> {
        match step.target {
            Target::Service(role, slot) => self.fleet.act(role, slot, step.action).await,
            Target::Version(role) => {
                self.fleet.switch(role);
                Ok(())
            }
            Target::Broker(broker) => self.act_on_broker(broker, step.action).await,
            Target::Network(network) => {
                let door = match network {
                    Network::Broker(broker) => &self.brokers[broker],
                    Network::Postgres => &self.postgres,
                    Network::MlServices => &self.ml_services,
                };
                if step.action == Action::Freeze {
                    door.shut()
                } else {
                    door.open()
                }
                Ok(())
            }
        }
    }

    async fn act_on_broker(&mut self, broker: usize, action: Action) -> anyhow::Result<()> {
        let cluster = Arc::clone(&self.cluster);
        match action {
            Action::Start => drop(self.starting.spawn_blocking(move || cluster.start_again(broker))),
            Action::Thaw => cluster.resume(broker)?,
            _ => {
                // However slow the machine is: the one before has to be back.
                self.brokers_are_back().await?;
                let harm = move || match action {
                    Action::Kill => cluster.kill(broker),
                    _ => cluster.suspend(broker),
                };
                spawn_blocking(harm).await??;
            }
        }
        Ok(())
    }

    /// Waits until every broker runs.
    pub(super) async fn brokers_are_back(&mut self) -> anyhow::Result<()> {
        while let Some(started) = self.starting.join_next().await {
            started??;
        }
        Ok(())
    }

    /// Writes the logs of all that ran into `folder`, which is made anew.
    pub(super) fn write_logs(&self, folder: &Path) -> anyhow::Result<()> {
        if folder.exists() {
            let is_ours = |entry: std::io::Result<fs::DirEntry>| {
                entry.is_ok_and(|entry| entry.path().extension().is_some_and(|extension| extension == "log"))
            };
            ensure!(fs::read_dir(folder)?.all(is_ours), "{} holds more than logs", folder.display());
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir_all(folder)?;
        self.fleet.write_logs(folder)?;
        for broker in 0..BROKERS {
            for (start, log) in self.cluster.logs(broker)?.iter().enumerate() {
                fs::copy(log, folder.join(format!("broker-{broker}-{}.log", start + 1)))?;
            }
        }
        Ok(())
    }
}
