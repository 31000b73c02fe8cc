//! Kafka, for services that produce or read events.

use std::time::Duration;

use pulse_core::UseCase;
use pulse_core::names::TOPIC_ANOMALIES;
use pulse_kafka::{
    KafkaError, KafkaSettings, Link, SPREADING, StartAt, TopicSpec, ensure_topics, partitions_of_new, wait_for_brokers,
};
use pulse_runtime::{Health, KafkaStart, Secret, Starting, wait_for};
use tokio_util::sync::CancellationToken;

/// How often it is seen whether any broker is connected.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A cluster that answers.
#[derive(Debug, Clone)]
pub struct Kafka {
    settings: KafkaSettings,
    given: pulse_runtime::KafkaSettings,
    health: Health,
}

impl Kafka {
    /// Waits for the brokers.
    ///
    /// # Errors
    /// When waiting is in vain, such as with a wrong password.
    pub async fn connect(starting: &Starting) -> Result<Self, KafkaError> {
        let (given, health) = (starting.settings.kafka().clone(), starting.health.clone());
        let settings = kafka_settings(&given);
        let what = format!("Kafka at {}", settings.brokers);
        wait_for(&health, &what, async || wait_for_brokers(&settings).await).await?;
        Ok(Self { settings, given, health })
    }

    /// How to reach it.
    #[must_use]
    pub fn settings(&self) -> &KafkaSettings {
        &self.settings
    }

    /// Where a group without a position begins to read.
    #[must_use]
    pub fn start(&self) -> StartAt {
        match self.given.start {
            KafkaStart::Earliest => StartAt::Earliest,
            KafkaStart::Latest => StartAt::Latest,
            KafkaStart::Time(time) => StartAt::Time(time),
        }
    }

    /// Whether topics may be made, and get more partitions.
    #[must_use]
    pub fn may_create(&self) -> bool {
        self.given.create_topics
    }

    /// Makes the input topic `name`, where it does not exist, and says how many partitions it has.
    ///
    /// # Errors
    /// When it can neither be found nor made.
    pub async fn input(&self, name: &str) -> Result<u32, KafkaError> {
        self.ensure(&[TopicSpec::input(name, self.given.partitions, self.given.replication_factor)]).await?;
        let what = format!("topic {name}");
        wait_for(&self.health, &what, async || partitions_of_new(&self.settings, name, SPREADING).await).await
    }

    /// Makes and checks the topics of the processor of `use_case`.
    ///
    /// # Errors
    /// When one is missing and cannot be made, or is not as it has to be.
    pub async fn topics_of_processor(&self, use_case: &UseCase) -> Result<(), KafkaError> {
        let (partitions, copies) = (self.input(&use_case.topic).await?, self.given.replication_factor);
        let dead_letters = TopicSpec::dead_letters(&use_case.topic, partitions, copies);
        let state = TopicSpec::state(&use_case.name, partitions, copies);
        self.ensure(&[dead_letters, state, TopicSpec::anomalies(copies)]).await
    }

    /// Makes and checks the topics of the writer.
    ///
    /// # Errors
    /// As [`topics_of_processor`](Self::topics_of_processor).
    pub async fn topics_of_writer(&self) -> Result<(), KafkaError> {
        let copies = self.given.replication_factor;
        // Of these there are few, if any.
        let dead_letters = TopicSpec::dead_letters(TOPIC_ANOMALIES, 1, copies);
        self.ensure(&[TopicSpec::anomalies(copies), dead_letters]).await
    }

    async fn ensure(&self, topics: &[TopicSpec]) -> Result<(), KafkaError> {
        let names: Vec<&str> = topics.iter().map(|topic| topic.name.as_str()).collect();
        let what = format!("the Kafka topics {}", names.join(", "));
        let create = self.given.create_topics;
        wait_for(&self.health, &what, async || ensure_topics(&self.settings, topics, create).await).await
    }

    /// Tells by the health of a service that only writes, and so sees no error, whether any broker is connected, until
    /// `stop`.
    pub async fn watch(self, link: Link, stop: CancellationToken) {
        let mut was_up = true;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            let is_up = link.is_up();
            match (was_up, is_up) {
                (true, false) => {
                    self.health.set_not_ready(format!("waiting for Kafka at {}", self.settings.brokers));
                }
                (false, true) => self.health.set_ready(),
                _ => {}
            }
            was_up = is_up;
        }
    }
}

/// How to reach what was set: for a command, which has no health to wait by, unlike a service.
#[must_use]
pub fn kafka_settings(given: &pulse_runtime::KafkaSettings) -> KafkaSettings {
    let secret = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.expose().to_owned());
    KafkaSettings {
        brokers: given.brokers.clone(),
        security_protocol: given.security_protocol.to_owned(),
        sasl_mechanism: Some(given.sasl_mechanism.to_owned()),
        sasl_username: given.sasl_username.clone(),
        sasl_password: secret(&given.sasl_password),
        ssl_ca: given.ssl_ca.clone(),
        ssl_certificate: given.ssl_certificate.clone(),
        ssl_key: given.ssl_key.clone(),
        ssl_key_password: secret(&given.ssl_key_password),
        properties: given.properties.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())).collect(),
    }
}

#[cfg(test)]
mod tests {
    use pulse_runtime::SettingsSources;

    use super::*;

    #[test]
    fn every_setting_arrives() {
        let variables = [
            ("BROKERS", "a:1,b:2"),
            ("SECURITY_PROTOCOL", "sasl_ssl"),
            ("SASL_MECHANISM", "scram-sha-512"),
            ("SASL_USERNAME", "u"),
            ("SASL_PASSWORD", "p"),
            ("SSL_CA", "/ca.pem"),
            ("SSL_CERTIFICATE", "/c.pem"),
            ("SSL_KEY", "/k.pem"),
            ("SSL_KEY_PASSWORD", "q"),
            ("PROPERTIES__CLIENT__RACK", "r"),
        ]
        .map(|(key, value)| (format!("PULSE__KAFKA__{key}"), value.to_owned()));
        let given = SettingsSources::default().environment(variables).load().unwrap();
        let made = kafka_settings(given.kafka());
        assert_eq!((made.brokers.as_str(), made.security_protocol.as_str()), ("a:1,b:2", "sasl_ssl"));
        let texts = [&made.sasl_mechanism, &made.sasl_username, &made.sasl_password, &made.ssl_key_password];
        assert_eq!(texts.map(|text| text.as_deref().unwrap()), ["SCRAM-SHA-512", "u", "p", "q"]);
        let paths = [&made.ssl_ca, &made.ssl_certificate, &made.ssl_key];
        assert_eq!(paths.map(|path| path.as_ref().unwrap().to_str().unwrap()), ["/ca.pem", "/c.pem", "/k.pem"]);
        assert_eq!(made.properties["client.rack"], "r");
    }
}
