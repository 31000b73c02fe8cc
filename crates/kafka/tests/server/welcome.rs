//! Brokers that want to know who we are.

use std::time::Duration;

use pulse_core::ports::{EventProducer as _, EventSource as _, TopicReader as _};
use pulse_core::{Classify as _, ErrorClass};
use pulse_kafka::{KafkaError, wait_for_brokers};
use pulse_testkit::contract::read;
use pulse_testkit::record;
use pulse_testkit::servers::kafka::{KafkaOptions, KafkaServer, SaslUser};

use crate::broker::{Broker, payloads};

#[tokio::test(flavor = "multi_thread")]
async fn a_password_lets_in_and_a_wrong_one_is_told_at_once() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let user = SaslUser { name: "pulse", password: "right-password" };
    let options = KafkaOptions { sasl: Some(user), ..KafkaOptions::default() };
    let server = KafkaServer::start_with(dir.path(), options)?;
    let mut broker = Broker::at(&server.brokers());
    broker.settings.security_protocol = "sasl_plaintext".to_owned();
    broker.settings.sasl_mechanism = Some("PLAIN".to_owned());
    broker.settings.sasl_username = Some("pulse".to_owned());
    broker.settings.sasl_password = Some("right-password".to_owned());
    wait_for_brokers(&broker.settings).await?;
    broker.create_topic("events", 1).await?;
    broker.producer().append(vec![record("events", 0, "hello")]).await?;
    assert_eq!(payloads(&read(&mut broker.source("readers", "events"), 1, 10).await?), ["hello"]);

    broker.settings.sasl_password = Some("wrong-password".to_owned());
    let refused = tokio::time::timeout(Duration::from_secs(30), wait_for_brokers(&broker.settings)).await?;
    let mut source = broker.source("readers", "events");
    let read = loop {
        if let Err(error) = source.poll(10).await {
            break error;
        }
    };
    let bystander = broker.reader("events").read(10).await.unwrap_err();
    for error in [refused.unwrap_err(), read, bystander] {
        assert!(matches!(error, KafkaError::Authentication { .. }), "{error:?}");
        assert_eq!(error.class(), ErrorClass::Fatal);
        assert!(!format!("{error} {error:?}").contains("wrong-password"), "{error:?}");
    }
    Ok(())
}
