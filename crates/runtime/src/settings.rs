//! What a person can set: built-in defaults, overridden by a file, by the environment, and by the command line.

mod fault;
mod raw;
mod secret;
mod secret_file;
mod stray;

mod kafka;
mod postgres;
mod production;
mod services;

mod sources;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::telemetry::LogFormat;
use raw::{RawSettings, Reader};

pub use fault::{SettingsError, SettingsFault};
pub use kafka::{KafkaSettings, KafkaStart};
pub use postgres::PostgresSettings;
pub use production::{Environment, Uses};
pub use secret::Secret;
pub use services::{
    Listen, MlServiceSettings, ProcessorSettings, ScorerSettings, SimulatorPace, SimulatorSettings, WriterSettings,
};
pub use sources::SettingsSources;

/// The checked settings of all services.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    environment: Environment,
    usecases: PathBuf,
    models: Option<PathBuf>,
    use_case: String,
    data_dir: PathBuf,
    listen: Listen,
    kafka: KafkaSettings,
    postgres: PostgresSettings,
    scorer: ScorerSettings,
    ml_service: MlServiceSettings,
    simulator: SimulatorSettings,
    processor: ProcessorSettings,
    writer: WriterSettings,
    log: LogSettings,
    retention: Retention,
}

/// How and what to log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// Text or JSON.
    pub format: LogFormat,
    /// `off`, `error`, `warn`, `info`, `debug` or `trace`.
    pub level: &'static str,
}

/// What is kept, of the log and of the anomalies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Of the embedded log: nothing older.
    pub max_age: Duration,
    /// Of the embedded log: not more bytes than this.
    pub max_bytes: u64,
    /// No anomaly that was found longer ago.
    pub anomaly_max_age: Duration,
}

impl Settings {
    /// Where it runs: production refuses what is fit for development alone.
    #[must_use]
    pub fn environment(&self) -> Environment {
        self.environment
    }

    /// The folder that holds the use cases.
    #[must_use]
    pub fn usecases(&self) -> &Path {
        &self.usecases
    }

    /// The folder in which each use case has one for its models, unless they lie with the use case.
    #[must_use]
    pub fn models(&self) -> Option<&Path> {
        self.models.as_deref()
    }

    /// The use case to run.
    #[must_use]
    pub fn use_case(&self) -> &str {
        &self.use_case
    }

    /// The folder of the embedded log and store.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Where each service listens.
    #[must_use]
    pub fn listen(&self) -> &Listen {
        &self.listen
    }

    /// How to reach Kafka.
    #[must_use]
    pub fn kafka(&self) -> &KafkaSettings {
        &self.kafka
    }

    /// How to reach Postgres.
    #[must_use]
    pub fn postgres(&self) -> &PostgresSettings {
        &self.postgres
    }

    /// What the ML service serves, and what it allows.
    #[must_use]
    pub fn ml_service(&self) -> &MlServiceSettings {
        &self.ml_service
    }

    /// The use cases that the ML service serves: at least one.
    #[must_use]
    pub fn served_use_cases(&self) -> Vec<&str> {
        match &self.ml_service.use_cases[..] {
            [] => vec![&self.use_case],
            named => named.iter().map(String::as_str).collect(),
        }
    }

    /// Whom the processor asks for scores.
    #[must_use]
    pub fn scorer(&self) -> &ScorerSettings {
        &self.scorer
    }

    /// What the simulator does.
    #[must_use]
    pub fn simulator(&self) -> &SimulatorSettings {
        &self.simulator
    }

    /// How the processor works.
    #[must_use]
    pub fn processor(&self) -> &ProcessorSettings {
        &self.processor
    }

    /// How the writer works.
    #[must_use]
    pub fn writer(&self) -> &WriterSettings {
        &self.writer
    }

    /// How and what to log.
    #[must_use]
    pub fn log(&self) -> &LogSettings {
        &self.log
    }

    /// What is kept.
    #[must_use]
    pub fn retention(&self) -> Retention {
        self.retention
    }
}

impl Settings {
    /// Checks what was given, and that what is used of it is fit for where it runs.
    fn checked(raw: RawSettings, uses: &[Uses]) -> Result<Self, SettingsError> {
        let mut reader = Reader::new(raw);
        let environments = [Environment::Development, Environment::Production];
        let settings = Self {
            environment: reader
                .one_of("environment", &environments.map(|environment| (environment.name(), environment))),
            usecases: reader.path("usecases"),
            models: reader.optional_path("models"),
            use_case: reader.text("use_case", "the name of a folder of use cases, as in nyc_taxi"),
            data_dir: reader.path("data_dir"),
            listen: Listen::read(&mut reader),
            kafka: KafkaSettings::read(&mut reader),
            postgres: PostgresSettings::read(&mut reader),
            scorer: ScorerSettings::read(&mut reader),
            ml_service: MlServiceSettings::read(&mut reader),
            simulator: SimulatorSettings::read(&mut reader),
            processor: ProcessorSettings::read(&mut reader),
            writer: WriterSettings::read(&mut reader),
            log: LogSettings::read(&mut reader),
            retention: Retention::read(&mut reader),
        };
        let mut faults = reader.finish();
        let unfit = production::faults(&settings, uses);
        // What cannot be read is not said to be missing, too.
        let told: Vec<String> = faults.iter().map(|fault| fault.key.clone()).collect();
        faults.extend(unfit.into_iter().filter(|fault| !told.iter().any(|key| key.starts_with(&fault.key))));
        if faults.is_empty() { Ok(settings) } else { Err(SettingsError::Faults(faults)) }
    }
}

impl LogSettings {
    fn read(reader: &mut Reader) -> Self {
        Self {
            format: reader.one_of("log.format", &[("text", LogFormat::Text), ("json", LogFormat::Json)]),
            level: reader.word("log.level", &["off", "error", "warn", "info", "debug", "trace"]),
        }
    }
}

impl Retention {
    fn read(reader: &mut Reader) -> Self {
        let hours = reader.in_range("retention.max_age_hours", 1..=87_600);
        let mib = reader.in_range("retention.max_mib", 16..=16_777_216);
        let days = reader.in_range("retention.anomaly_max_age_days", 1..=36_500);
        Self {
            max_age: Duration::from_secs(hours * 3600),
            max_bytes: mib << 20,
            anomaly_max_age: Duration::from_secs(days * 86_400),
        }
    }
}

/// The variable of the environment that sets `key`: `dashboard.port` is set by `PULSE__DASHBOARD__PORT`.
pub(crate) fn env_name(key: &str) -> String {
    format!("PULSE__{}", key.replace('.', "__").to_uppercase())
}

#[cfg(test)]
mod tests;
