//! What a person can set: built-in defaults, overridden by a file, by the environment, and by the command line.

mod raw;
mod sources;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::telemetry::LogFormat;
use raw::{RawSettings, Reader};

pub use sources::SettingsSources;

/// The checked settings of all services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    usecases: PathBuf,
    use_case: String,
    data_dir: PathBuf,
    dashboard: SocketAddr,
    ml_service: SocketAddr,
    simulator: SocketAddr,
    processor: SocketAddr,
    writer: SocketAddr,
    log: LogSettings,
    retention: Retention,
}

/// How and what to log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// Text or JSON.
    pub format: LogFormat,
    /// `off`, `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
}

/// What the embedded log and store keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Nothing older.
    pub max_age: Duration,
    /// Not more bytes than this.
    pub max_bytes: u64,
    /// No anomaly that was found longer ago.
    pub anomaly_max_age: Duration,
}

impl Settings {
    /// The folder that holds the use cases.
    #[must_use]
    pub fn usecases(&self) -> &Path {
        &self.usecases
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

    /// Where the dashboard listens; `dashboard.port` moves it.
    #[must_use]
    pub fn dashboard(&self) -> SocketAddr {
        self.dashboard
    }

    /// Where the ML service listens; `ml_service.port` moves it.
    #[must_use]
    pub fn ml_service(&self) -> SocketAddr {
        self.ml_service
    }

    /// Where the simulator's health and metrics are; `simulator.port` moves it.
    #[must_use]
    pub fn simulator(&self) -> SocketAddr {
        self.simulator
    }

    /// Where the stream processor's health and metrics are; `processor.port` moves it.
    #[must_use]
    pub fn processor(&self) -> SocketAddr {
        self.processor
    }

    /// Where the anomaly writer's health and metrics are; `writer.port` moves it.
    #[must_use]
    pub fn writer(&self) -> SocketAddr {
        self.writer
    }

    /// How and what to log.
    #[must_use]
    pub fn log(&self) -> &LogSettings {
        &self.log
    }

    /// What the embedded log keeps.
    #[must_use]
    pub fn retention(&self) -> Retention {
        self.retention
    }
}

impl TryFrom<RawSettings> for Settings {
    type Error = SettingsError;

    fn try_from(raw: RawSettings) -> Result<Self, SettingsError> {
        let mut reader = Reader::new(raw);
        let host: IpAddr = reader.parse("http.host", "an IP address, as in 127.0.0.1 or 0.0.0.0");
        let mut addr = |key| SocketAddr::new(host, reader.parse(key, "a port, from 0 (any free one) to 65535"));
        let (dashboard, ml_service) = (addr("dashboard.port"), addr("ml_service.port"));
        let (simulator, processor, writer) = (addr("simulator.port"), addr("processor.port"), addr("writer.port"));
        let hours: u64 = reader.in_range("retention.max_age_hours", 1..=87_600);
        let mib: u64 = reader.in_range("retention.max_mib", 16..=16_777_216);
        let days: u64 = reader.in_range("retention.anomaly_max_age_days", 1..=36_500);
        let settings = Self {
            usecases: reader.path("usecases"),
            use_case: reader.text("use_case", "the name of a folder of use cases, as in nyc_taxi"),
            data_dir: reader.path("data_dir"),
            dashboard,
            ml_service,
            simulator,
            processor,
            writer,
            log: LogSettings {
                format: reader.one_of("log.format", &[("text", LogFormat::Text), ("json", LogFormat::Json)]),
                level: reader.one_of(
                    "log.level",
                    &["off", "error", "warn", "info", "debug", "trace"].map(|level| (level, level.to_owned())),
                ),
            },
            retention: Retention {
                max_age: Duration::from_secs(hours * 3600),
                max_bytes: mib << 20,
                anomaly_max_age: Duration::from_secs(days * 86_400),
            },
        };
        match reader.finish() {
            faults if faults.is_empty() => Ok(settings),
            faults => Err(SettingsError::Faults(faults)),
        }
    }
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The file cannot be read, or is no TOML.
    #[error("settings cannot be read")]
    Unreadable(#[from] config::ConfigError),
    /// Keys or values are wrong; all that are.
    #[error("{} wrong: {}", if .0.len() == 1 { "a setting is" } else { "settings are" }, join(.0))]
    Faults(Vec<SettingsFault>),
}

fn join(faults: &[SettingsFault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// One wrong setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsFault {
    /// The key, as in `dashboard.port`.
    pub key: String,
    /// The value that was given.
    pub value: String,
    /// Where it was given: a file, or a variable of the environment, or the command line.
    pub origin: String,
    /// What to do about it.
    pub mend: String,
}

impl fmt::Display for SettingsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {:?} ({}) {}", self.key, self.value, self.origin, self.mend)
    }
}

/// The variable of the environment that sets `key`: `dashboard.port` is set by `PULSE__DASHBOARD__PORT`.
pub(crate) fn env_name(key: &str) -> String {
    format!("PULSE__{}", key.replace('.', "__").to_uppercase())
}

#[cfg(test)]
mod tests;
