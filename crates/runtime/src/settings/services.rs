//! What the services are told, each in its section.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::time::Duration;

use axum::http::Uri;
use jiff::Timestamp;

use super::raw::Reader;
use super::secret::Secret;

/// Where each service listens. All share the address `http.host`; each has a port of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen {
    /// The dashboard; `dashboard.port` moves it.
    pub dashboard: SocketAddr,
    /// The ML service; `ml_service.port` moves it.
    pub ml_service: SocketAddr,
    /// Health and metrics of the simulator; `simulator.port` moves them.
    pub simulator: SocketAddr,
    /// Health and metrics of the stream processor; `processor.port` moves them.
    pub processor: SocketAddr,
    /// Health and metrics of the anomaly writer; `writer.port` moves them.
    pub writer: SocketAddr,
}

impl Listen {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let stand_in = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let host = reader.parse("http.host", "an IP address, as in 127.0.0.1 or 0.0.0.0", stand_in);
        let mut listen = |key| SocketAddr::new(host, reader.parse(key, "a port, from 0 (any free one) to 65535", 0));
        Self {
            dashboard: listen("dashboard.port"),
            ml_service: listen("ml_service.port"),
            simulator: listen("simulator.port"),
            processor: listen("processor.port"),
            writer: listen("writer.port"),
        }
    }
}

/// How fast the simulator's events come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SimulatorPace {
    /// As fast as the log takes them.
    Max,
    /// So many events a second.
    Rate(f64),
    /// So many times as fast as the sample's own time.
    Speed(f64),
}

/// The section `simulator`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SimulatorSettings {
    /// How fast.
    pub pace: SimulatorPace,
    /// How many events; none means until it is stopped.
    pub events: Option<u64>,
    /// Share of the events that become labelled anomalies.
    pub anomaly_rate: f64,
    /// Seed of all randomness.
    pub seed: u64,
    /// Time of the first event, instead of now.
    pub start: Option<Timestamp>,
}

impl SimulatorSettings {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let share = |text: &str| text.parse().ok().filter(|share| (0.0..=0.5).contains(share));
        let rate = reader.take("simulator.rate", "events per second, above 0, or max", rate);
        let speed = reader.optional("simulator.speed", "a number above 0, where 1 is the sample's own time", positive);
        Self {
            pace: speed.map(SimulatorPace::Speed).or(rate).unwrap_or(SimulatorPace::Max),
            events: Some(reader.in_range("simulator.events", 0..=u64::MAX)).filter(|&events| events > 0),
            anomaly_rate: reader.take("simulator.anomaly_rate", "a share from 0 to 0.5", share).unwrap_or(0.0),
            seed: reader.in_range("simulator.seed", 0..=u64::MAX),
            start: reader.optional("simulator.start", "a time such as 2026-01-31T00:00:00Z", |text| text.parse().ok()),
        }
    }
}

fn rate(text: &str) -> Option<SimulatorPace> {
    if text == "max" { Some(SimulatorPace::Max) } else { positive(text).map(SimulatorPace::Rate) }
}

fn positive(text: &str) -> Option<f64> {
    text.parse().ok().filter(|&number| number > 0.0 && number <= 1e9)
}

/// The section `processor`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessorSettings {
    /// Threads that judge; none means one for each core.
    pub workers: Option<NonZeroUsize>,
    /// Events of a batch at the most.
    pub batch_records: usize,
    /// A partition's commits begin this far from each other at the least.
    pub commit_interval: Duration,
    /// State is saved this often.
    pub snapshot_every: Duration,
}

impl ProcessorSettings {
    pub(super) fn read(reader: &mut Reader) -> Self {
        Self {
            workers: NonZeroUsize::new(size(reader.in_range("processor.workers", 0..=1024))),
            batch_records: size(reader.in_range("processor.batch_records", 1..=100_000)),
            commit_interval: Duration::from_millis(reader.in_range("processor.commit_interval_ms", 0..=10_000)),
            snapshot_every: Duration::from_secs(reader.in_range("processor.snapshot_seconds", 1..=3600)),
        }
    }
}

/// The section `writer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriterSettings {
    /// Anomalies that are stored together at the most.
    pub batch_records: usize,
    /// How long the first of them waits for others.
    pub linger: Duration,
}

impl WriterSettings {
    pub(super) fn read(reader: &mut Reader) -> Self {
        Self {
            batch_records: size(reader.in_range("writer.batch_records", 1..=100_000)),
            linger: Duration::from_millis(reader.in_range("writer.linger_ms", 0..=60_000)),
        }
    }
}

/// The section `ml_service`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MlServiceSettings {
    /// What whoever changes something presents; none means that nobody is asked.
    pub token: Option<Secret>,
    /// The use cases that are served; none means the one that is run.
    pub use_cases: Vec<String>,
    /// Events of a batch at the most.
    pub max_batch_rows: usize,
    /// Bytes of a body at the most.
    pub max_body_bytes: usize,
    /// Time from a request's first byte to its answer at the most.
    pub request_time: Duration,
    /// Requests that are being answered at once at the most.
    pub max_requests: usize,
    /// Batches among them at the most.
    pub max_batches: usize,
    /// Events that a model is trained on where there is neither a model nor a sample.
    pub training_events: usize,
}

impl MlServiceSettings {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let wanted = "names of use cases with commas between them, as in nyc_taxi,server_logs";
        Self {
            token: reader.secret("ml_service.token", "ml_service.token_file"),
            use_cases: reader.optional("ml_service.use_cases", wanted, names).unwrap_or_default(),
            max_batch_rows: size(reader.in_range("ml_service.max_batch_rows", 1..=1_000_000)),
            max_body_bytes: size(reader.in_range("ml_service.max_body_mib", 1..=1024)) << 20,
            request_time: Duration::from_secs(reader.in_range("ml_service.request_seconds", 1..=3600)),
            max_requests: size(reader.in_range("ml_service.max_requests", 1..=1_000_000)),
            max_batches: size(reader.in_range("ml_service.max_batches", 1..=100_000)),
            training_events: size(reader.in_range("ml_service.training_events", 100..=10_000_000)),
        }
    }
}

/// Names with commas between them, none of them empty or there twice.
fn names(text: &str) -> Option<Vec<String>> {
    let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
    let twice = names.iter().enumerate().any(|(index, name)| names[..index].contains(name));
    (!twice && !names.iter().any(String::is_empty)).then_some(names)
}

/// The section `scorer`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScorerSettings {
    /// Address of the ML service, as in `http://localhost:8000`.
    pub url: String,
}

impl ScorerSettings {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let url = reader.take("scorer.url", "the address of a server, as in http://localhost:8000", server);
        Self { url: url.unwrap_or_default() }
    }
}

/// An address without a path.
fn server(text: &str) -> Option<String> {
    let url: Uri = text.parse().ok()?;
    let is_server = url.scheme_str() == Some("http") && url.path() == "/" && url.query().is_none();
    let host = url.authority().filter(|authority| is_server && !authority.as_str().contains('@'))?;
    Some(format!("http://{host}"))
}

fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_an_address_without_a_path() {
        assert_eq!(server("http://ml-service:8000/").unwrap(), "http://ml-service:8000");
        assert_eq!(server("http://[::1]").unwrap(), "http://[::1]");
        for bad in ["", "ml-service:8000", "https://a", "http://a/v2", "http://user:secret@a", "http://", "/v2"] {
            assert_eq!(server(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn names_have_commas_between_them() {
        assert_eq!(names("a, b").unwrap(), ["a", "b"]);
        assert_eq!([names("a,a"), names("a,"), names(",")], [None, None, None]);
    }

    #[test]
    fn a_rate_is_positive_or_max() {
        assert_eq!((rate("max"), rate("2.5")), (Some(SimulatorPace::Max), Some(SimulatorPace::Rate(2.5))));
        assert_eq!([rate("0"), rate("-1"), rate("NaN"), rate("fast"), rate("inf")], [None; 5]);
    }
}
