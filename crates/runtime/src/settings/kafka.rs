//! How to reach Kafka, and what its topics are to be.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;

use super::raw::Reader;
use super::secret::Secret;

/// The section `kafka`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaSettings {
    /// `host:port`, several with commas between them.
    pub brokers: String,
    /// `plaintext`, `ssl`, `sasl_plaintext` or `sasl_ssl`.
    pub security_protocol: &'static str,
    /// `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`.
    pub sasl_mechanism: &'static str,
    /// User, for SASL.
    pub sasl_username: Option<String>,
    /// Password, for SASL.
    pub sasl_password: Option<Secret>,
    /// Certificates of who signed the brokers' ones.
    pub ssl_ca: Option<PathBuf>,
    /// Our certificate.
    pub ssl_certificate: Option<PathBuf>,
    /// Its key.
    pub ssl_key: Option<PathBuf>,
    /// Password of the key.
    pub ssl_key_password: Option<Secret>,
    /// Whether topics that do not exist are made.
    pub create_topics: bool,
    /// Partitions of topics that are made.
    pub partitions: u32,
    /// Copies of each partition of topics that are made; none leaves that to the brokers.
    pub replication_factor: Option<u16>,
    /// Where a group without a position begins to read.
    pub start: KafkaStart,
    /// Further properties of librdkafka.
    pub properties: BTreeMap<String, Secret>,
}

/// Where a group without a position begins to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KafkaStart {
    /// At the first record there is.
    Earliest,
    /// After the last record there is.
    Latest,
    /// At the first record that is not older.
    Time(Timestamp),
}

impl KafkaSettings {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let address = "host:port, several with commas between them, as in kafka-1:9092,kafka-2:9092";
        let replication = reader.in_range("kafka.replication_factor", 0..=1000);
        Self {
            brokers: reader.take("kafka.brokers", address, brokers).unwrap_or_default(),
            security_protocol: reader
                .word("kafka.security_protocol", &["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"]),
            sasl_mechanism: reader.word("kafka.sasl_mechanism", &["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]),
            sasl_username: reader.optional_text("kafka.sasl_username"),
            sasl_password: reader.secret("kafka.sasl_password", "kafka.sasl_password_file"),
            ssl_ca: reader.optional_path("kafka.ssl_ca"),
            ssl_certificate: reader.optional_path("kafka.ssl_certificate"),
            ssl_key: reader.optional_path("kafka.ssl_key"),
            ssl_key_password: reader.secret("kafka.ssl_key_password", "kafka.ssl_key_password_file"),
            create_topics: reader.flag("kafka.create_topics"),
            partitions: u32::try_from(reader.in_range("kafka.partitions", 1..=10_000)).unwrap_or(1),
            replication_factor: u16::try_from(replication).ok().filter(|&copies| copies > 0),
            start: reader
                .take("kafka.start", "earliest, latest, or a time such as 2026-01-31T00:00:00Z", start)
                .unwrap_or(KafkaStart::Earliest),
            properties: reader.table("kafka.properties"),
        }
    }
}

fn start(text: &str) -> Option<KafkaStart> {
    match text {
        "earliest" => Some(KafkaStart::Earliest),
        "latest" => Some(KafkaStart::Latest),
        time => time.parse().ok().map(KafkaStart::Time),
    }
}

/// The addresses, in the form that librdkafka takes.
fn brokers(text: &str) -> Option<String> {
    let addresses: Vec<&str> = text.split(',').map(str::trim).collect();
    addresses.iter().all(|address| is_address(address)).then(|| addresses.join(","))
}

fn is_address(text: &str) -> bool {
    let (host, port) = text.rsplit_once(':').unwrap_or((text, "9092"));
    let is_host = !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || "/@".contains(c));
    is_host && port.parse().is_ok_and(|port: u16| port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_other_texts() {
        assert_eq!(brokers("a:1, b:2 ,[::1]:9092,c").unwrap(), "a:1,b:2,[::1]:9092,c");
        for bad in ["", "a:1,", "kafka://a:1", "a:0", "a:70000", "a:port", ":9092", "a b:1", "user@a:1"] {
            assert_eq!(brokers(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_start_is_a_word_or_a_time() {
        assert_eq!(start("latest"), Some(KafkaStart::Latest));
        let time = "2026-01-31T01:00:00+01:00".parse().unwrap();
        assert_eq!(start("2026-01-31T00:00:00Z"), Some(KafkaStart::Time(time)));
        assert_eq!(start("yesterday"), None);
    }
}
