//! What production refuses: values that are fit for a laptop alone.

use super::fault::SettingsFault;
use super::secret::Secret;
use super::{Settings, env_name};

/// Passwords that stand in .env.example and docker-compose.yml, for everybody to read.
const EXAMPLES: [&str; 1] = ["stream-pulse"];
const SECURE: [&str; 2] = ["ssl", "sasl_ssl"];
/// Properties of librdkafka that say whether brokers are who they say, with the values that mean so.
const CHECKS: [(&str, &[&str]); 2] = [
    ("enable.ssl.certificate.verification", &["true", "t", "1"]),
    ("ssl.endpoint.identification.algorithm", &["https"]),
];

/// Where a service runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    /// On somebody's own machine: anything goes.
    Development,
    /// Where others can reach it: examples' passwords and plaintext are refused.
    Production,
}

impl Environment {
    /// As it is set.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Production => "production",
        }
    }
}

/// What a service uses, and so what has to be fit for production before it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uses {
    /// The brokers.
    Kafka,
    /// The database.
    Postgres,
    /// The token of those who change models.
    ModelToken,
}

/// All that is not fit for production, of what is used.
pub(super) fn faults(settings: &Settings, uses: &[Uses]) -> Vec<SettingsFault> {
    if settings.environment == Environment::Development {
        return Vec::new();
    }
    let faults = |part: &Uses| match part {
        Uses::Kafka => kafka(settings),
        Uses::Postgres => postgres(settings),
        Uses::ModelToken => {
            password("ml_service.token", settings.ml_service.token.as_ref(), true).into_iter().collect()
        }
    };
    uses.iter().flat_map(faults).collect()
}

fn kafka(settings: &Settings) -> Vec<SettingsFault> {
    let kafka = &settings.kafka;
    let protocol = kafka.security_protocol;
    let mut faults = Vec::new();
    if !SECURE.contains(&protocol) {
        let why = if protocol == "sasl_plaintext" { "sends its password in the clear" } else { "lets anybody in" };
        let mend = format!("{why}: set {}=sasl_ssl or ssl", env_name("kafka.security_protocol"));
        faults.push(fault("kafka.security_protocol", Some(protocol.to_owned()), mend));
    }
    for (name, safe) in CHECKS {
        let given = kafka.properties.get(name).map(Secret::expose);
        if let Some(value) = given.filter(|value| !safe.contains(&&*value.to_lowercase())) {
            let mend =
                "lets anybody pass for a broker: remove it, and give who signed the certificates by kafka.ssl_ca";
            faults.push(fault(&format!("kafka.properties.{name}"), Some(value.to_owned()), mend.to_owned()));
        }
    }
    if protocol.starts_with("sasl") {
        faults.extend(password("kafka.sasl_password", kafka.sasl_password.as_ref(), true));
    }
    faults.extend(password("kafka.ssl_key_password", kafka.ssl_key_password.as_ref(), false));
    faults
}

fn postgres(settings: &Settings) -> Vec<SettingsFault> {
    let postgres = &settings.postgres;
    // By its socket, the server may know who asks.
    let by_network = !postgres.host.starts_with('/');
    password("postgres.password", postgres.password.as_ref(), by_network).into_iter().collect()
}

fn password(key: &str, given: Option<&Secret>, is_needed: bool) -> Option<SettingsFault> {
    let what = match given {
        None if is_needed => "is missing",
        Some(secret) if EXAMPLES.contains(&secret.expose().trim()) => "is the example's, which everybody knows",
        _ => return None,
    };
    let mend =
        format!("{what}: set {}_FILE to a file that holds one, as production/secrets.sh makes it", env_name(key));
    Some(fault(key, None, mend))
}

fn fault(key: &str, value: Option<String>, mend: String) -> SettingsFault {
    SettingsFault { key: key.to_owned(), value, origin: "in production".to_owned(), mend }
}

#[cfg(test)]
mod tests;
