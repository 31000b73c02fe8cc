//! Tests of the properties.

use pulse_core::{Classify as _, ErrorClass};
use rdkafka::consumer::BaseConsumer;

use super::*;

fn with(name: &str, value: &str) -> KafkaSettings {
    let mut settings = KafkaSettings::new("a:1");
    settings.properties.insert(name.to_owned(), value.to_owned());
    settings
}

#[test]
fn every_role_is_what_librdkafka_takes() {
    let settings = KafkaSettings::new("localhost:1");
    let reading = [Role::Lookup, Role::Reader("g"), Role::Onlooker("g"), Role::Bystander, Role::Member("g")];
    for role in reading.into_iter().chain([Role::Producer, Role::Transactional("id")]) {
        let config = settings.client(&role).unwrap();
        config.create::<BaseConsumer>().unwrap();
    }
}

#[test]
fn properties_stand_above_ours_but_for_guarantees() {
    let config = with("linger.ms", "77").client(&Role::Producer).unwrap();
    assert_eq!(config.get("linger.ms"), Some("77"));
    for name in ["enable.idempotence", "isolation.level", "group.id", "sasl.password", "acks", "check.crcs"] {
        let error = with(name, "false").client(&Role::Producer).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
        assert_eq!(error.class(), ErrorClass::Fatal);
    }
}

#[test]
fn whoever_reads_to_the_end_asks_the_leader() {
    let given = with("client.rack", "rack-7");
    let rack = |role| given.client(&role).unwrap().get("client.rack").map(str::to_owned);
    assert_eq!([rack(Role::Bystander), rack(Role::Reader("g"))], [Some(String::new()), Some(String::new())]);
    assert_eq!(rack(Role::Member("g")).as_deref(), Some("rack-7"));
}

#[test]
fn a_bad_property_is_named_and_its_value_is_not() {
    for (name, value) in [("no.such.thing", "hunter2"), ("fetch.wait.max.ms", "hunter2")] {
        let config = with(name, value).client(&Role::Lookup).unwrap();
        let error = KafkaError::of_setup(config.create::<BaseConsumer>().err().unwrap());
        assert!(error.to_string().contains(name), "{error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}

#[test]
fn secrets_do_not_show() {
    let mut settings = with("ssl.key.pem", "hunter2");
    settings.sasl_password = Some("hunter2".to_owned());
    settings.ssl_key_password = Some("hunter2".to_owned());
    assert!(!format!("{settings:?}").contains("hunter2"));
}

#[test]
#[cfg(not(feature = "tls"))]
fn without_tls_it_is_refused_before_connecting() {
    let mut scram = KafkaSettings::new("a:1");
    scram.security_protocol = "sasl_plaintext".to_owned();
    scram.sasl_mechanism = Some("SCRAM-SHA-256".to_owned());
    let mut ssl = KafkaSettings::new("a:1");
    ssl.security_protocol = "ssl".to_owned();
    for settings in [scram, ssl] {
        let error = settings.client(&Role::Lookup).unwrap_err();
        assert!(matches!(error, KafkaError::NoTls { .. }), "{error:?}");
    }
}

#[test]
fn plain_passwords_work_without_tls() {
    let mut settings = KafkaSettings::new("a:1");
    settings.security_protocol = "sasl_plaintext".to_owned();
    settings.sasl_mechanism = Some("PLAIN".to_owned());
    (settings.sasl_username, settings.sasl_password) = (Some("u".to_owned()), Some("p".to_owned()));
    settings.client(&Role::Lookup).unwrap().create::<BaseConsumer>().unwrap();
}

#[test]
fn members_that_may_be_silent_for_long_may_poll_as_rarely() {
    let config = with("session.timeout.ms", "45000").client(&Role::Member("g")).unwrap();
    assert_eq!(config.get("max.poll.interval.ms"), Some("45000"));
    config.create_native_config().unwrap();
    let usual = KafkaSettings::new("localhost:9092").client(&Role::Member("g")).unwrap();
    assert_eq!(usual.get("max.poll.interval.ms"), Some("20000"));
}
