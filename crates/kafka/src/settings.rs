//! How to reach Kafka, and the properties of each kind of client.

mod roles;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use crate::error::KafkaError;

pub(crate) use roles::{Role, TOO_LARGE_FOR_ANY};

/// How to reach Kafka.
#[derive(Clone)]
pub struct KafkaSettings {
    /// `host:port`, several with commas between them.
    pub brokers: String,
    /// `plaintext`, `ssl`, `sasl_plaintext` or `sasl_ssl`.
    pub security_protocol: String,
    /// `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`; for SASL.
    pub sasl_mechanism: Option<String>,
    /// User, for SASL.
    pub sasl_username: Option<String>,
    /// Password, for SASL.
    pub sasl_password: Option<String>,
    /// Certificates of who signed the brokers' ones.
    pub ssl_ca: Option<PathBuf>,
    /// Our certificate.
    pub ssl_certificate: Option<PathBuf>,
    /// Its key.
    pub ssl_key: Option<PathBuf>,
    /// Password of the key.
    pub ssl_key_password: Option<String>,
    /// Further properties of librdkafka. They stand above ours, but for those on which the guarantees rest.
    pub properties: BTreeMap<String, String>,
}

impl KafkaSettings {
    /// Brokers without TLS or passwords.
    #[must_use]
    pub fn new(brokers: impl Into<String>) -> Self {
        Self {
            brokers: brokers.into(),
            security_protocol: "plaintext".to_owned(),
            sasl_mechanism: None,
            sasl_username: None,
            sasl_password: None,
            ssl_ca: None,
            ssl_certificate: None,
            ssl_key: None,
            ssl_key_password: None,
            properties: BTreeMap::new(),
        }
    }

    /// The properties of a client in `role`.
    ///
    /// # Errors
    /// When a property is one that the guarantees rest on, or TLS is asked for and not built in.
    pub(crate) fn client(&self, role: &Role<'_>) -> Result<ClientConfig, KafkaError> {
        let mut config = ClientConfig::new();
        config.set("client.id", "stream-pulse");
        // An idle connection that a broker closes is no news.
        config.set("log.connection.close", "false");
        role.tune(&mut config);
        self.connect(&mut config);
        if let Some((name, reason)) = self.properties.keys().find_map(|name| Some((name, roles::reserved(name)?))) {
            return Err(KafkaError::Property { name: name.clone(), reason: reason.to_owned() });
        }
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        role.guarantee(&mut config);
        config.set_log_level(RDKafkaLogLevel::Info);
        match what_needs_tls(&config) {
            Some(what) if cfg!(not(feature = "tls")) => Err(KafkaError::NoTls { what }),
            _ => Ok(config),
        }
    }

    fn connect(&self, config: &mut ClientConfig) {
        config.set("bootstrap.servers", &self.brokers).set("security.protocol", &self.security_protocol);
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.to_string_lossy().into_owned());
        let is_sasl = self.security_protocol.starts_with("sasl");
        for (name, value) in [
            ("sasl.mechanism", self.sasl_mechanism.clone().filter(|_| is_sasl)),
            ("sasl.username", self.sasl_username.clone()),
            ("sasl.password", self.sasl_password.clone()),
            ("ssl.ca.location", path(&self.ssl_ca)),
            ("ssl.certificate.location", path(&self.ssl_certificate)),
            ("ssl.key.location", path(&self.ssl_key)),
            ("ssl.key.password", self.ssl_key_password.clone()),
        ] {
            if let Some(value) = value {
                config.set(name, value);
            }
        }
    }
}

/// The property, with its value, for which OpenSSL is needed.
fn what_needs_tls(config: &ClientConfig) -> Option<String> {
    let value = |name: &str| config.get(name).unwrap_or_default().to_ascii_uppercase();
    let protocol = value("security.protocol");
    if protocol.ends_with("SSL") {
        return Some(format!("kafka.security_protocol = {}", protocol.to_ascii_lowercase()));
    }
    let mechanism = Some(value("sasl.mechanism")).filter(|name| !name.is_empty()).unwrap_or(value("sasl.mechanisms"));
    (mechanism.starts_with("SCRAM") || mechanism == "OAUTHBEARER")
        .then(|| format!("kafka.sasl_mechanism = {mechanism}"))
}

impl fmt::Debug for KafkaSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.properties.keys().collect();
        f.debug_struct("KafkaSettings")
            .field("brokers", &self.brokers)
            .field("security_protocol", &self.security_protocol)
            .field("sasl_mechanism", &self.sasl_mechanism)
            .field("sasl_username", &self.sasl_username)
            .field("properties", &names)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
