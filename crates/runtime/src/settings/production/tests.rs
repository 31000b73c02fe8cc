//! What production refuses, and what it takes.

use super::*;
use crate::settings::{SettingsError, SettingsSources};

const ALL: &[Uses] = &[Uses::Kafka, Uses::Postgres, Uses::ModelToken];

const FIT: [(&str, &str); 5] = [
    ("KAFKA__SECURITY_PROTOCOL", "sasl_ssl"),
    ("KAFKA__SASL_USERNAME", "u"),
    ("KAFKA__SASL_PASSWORD", "one of its own"),
    ("POSTGRES__PASSWORD", "one of its own"),
    ("ML_SERVICE__TOKEN", "one of its own"),
];

fn refused(environment: &str, uses: &'static [Uses], given: &[(&str, &str)]) -> Vec<String> {
    let given = given.iter().copied().chain([("ENVIRONMENT", environment)]);
    let variables = given.map(|(key, value)| (format!("PULSE__{key}"), value.to_owned()));
    match SettingsSources::default().environment(variables).uses(uses).load() {
        Ok(_) => Vec::new(),
        Err(SettingsError::Faults(faults)) => faults.iter().map(ToString::to_string).collect(),
        Err(other) => panic!("{other}"),
    }
}

/// What is refused of settings that are fit but for these.
fn refused_of(given: &[(&str, &str)]) -> Vec<String> {
    let fit: Vec<_> = FIT.into_iter().chain(given.iter().copied()).collect();
    refused("production", ALL, &fit)
}

#[test]
fn the_defaults_are_for_development() {
    assert_eq!(refused("development", ALL, &[]), Vec::<String>::new());
    assert_eq!(refused("Production", &[], &[]), Vec::<String>::new(), "who uses nothing needs nothing");
    let said = refused("staging", ALL, &[]);
    assert_eq!(said, [r#"environment = "staging" (PULSE__ENVIRONMENT) must be one of development, production"#]);
}

#[test]
fn production_says_all_that_is_missing_at_once_and_what_to_do() {
    let file = "to a file that holds one, as production/secrets.sh makes it";
    assert_eq!(
        refused("production", ALL, &[("LOG__LEVEL", "loud")]),
        [
            r#"log.level = "loud" (PULSE__LOG__LEVEL) must be one of off, error, warn, info, debug, trace"#.to_owned(),
            r#"kafka.security_protocol = "plaintext" (in production) lets anybody in: set PULSE__KAFKA__SECURITY_PROTOCOL=sasl_ssl or ssl"#
                .to_owned(),
            format!("postgres.password (in production) is missing: set PULSE__POSTGRES__PASSWORD_FILE {file}"),
            format!("ml_service.token (in production) is missing: set PULSE__ML_SERVICE__TOKEN_FILE {file}"),
        ]
    );
}

#[test]
fn a_service_is_asked_for_what_it_uses_and_no_more() {
    let keys = |uses| -> Vec<String> {
        let said = refused("production", uses, &[]);
        said.iter().filter_map(|fault| fault.split_whitespace().next().map(str::to_owned)).collect()
    };
    assert_eq!(keys(&[Uses::Postgres]), ["postgres.password"]);
    assert_eq!(keys(&[Uses::ModelToken, Uses::Kafka]), ["ml_service.token", "kafka.security_protocol"]);
}

#[test]
fn what_is_wrong_is_told_once() {
    let wrong = [("POSTGRES__PASSWORD_FILE", "/nowhere/secret"), ("KAFKA__SECURITY_PROTOCOL", "tls")];
    let said = refused("production", &[Uses::Kafka, Uses::Postgres], &wrong);
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].contains("must be one of") && said[1].contains("cannot be read"), "{said:?}");
}

#[test]
fn what_is_fit_is_taken() {
    assert_eq!(refused_of(&[]), Vec::<String>::new());
    assert_eq!(refused_of(&[("KAFKA__SECURITY_PROTOCOL", "ssl"), ("KAFKA__SASL_PASSWORD", "")]), Vec::<String>::new());
    assert_eq!(refused_of(&[("POSTGRES__HOST", "/run/postgresql"), ("POSTGRES__PASSWORD", "")]), Vec::<String>::new());
    let checked = ("KAFKA__PROPERTIES__ENABLE__SSL__CERTIFICATE__VERIFICATION", "True");
    assert_eq!(refused_of(&[checked]), Vec::<String>::new());
}

#[test]
fn passwords_do_not_go_in_the_clear_and_brokers_are_known() {
    let clear = refused_of(&[("KAFKA__SECURITY_PROTOCOL", "sasl_plaintext")]);
    assert!(clear[0].contains("sends its password in the clear") && clear.len() == 1, "{clear:?}");
    for (property, value) in [
        ("ENABLE__SSL__CERTIFICATE__VERIFICATION", "false"),
        ("ENABLE__SSL__CERTIFICATE__VERIFICATION", "0"),
        ("SSL__ENDPOINT__IDENTIFICATION__ALGORITHM", "none"),
    ] {
        let said = refused_of(&[(&format!("KAFKA__PROPERTIES__{property}"), value)]);
        assert_eq!(said.len(), 1, "{property}: {said:?}");
    }
}

#[test]
fn no_password_is_the_examples() {
    for key in ["KAFKA__SASL_PASSWORD", "KAFKA__SSL_KEY_PASSWORD", "POSTGRES__PASSWORD", "ML_SERVICE__TOKEN"] {
        let said = refused_of(&[(key, EXAMPLES[0])]);
        assert!(said[0].contains("is the example's") && said.len() == 1, "{key}: {said:?}");
    }
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let example = std::fs::read_to_string(format!("{root}/.env.example")).unwrap();
    let passwords: Vec<_> = example.lines().filter_map(|line| line.split_once("PASSWORD=")).collect();
    assert!(!passwords.is_empty());
    assert!(passwords.iter().all(|(_, password)| EXAMPLES.contains(password)), "{passwords:?}");
    let compose = std::fs::read_to_string(format!("{root}/docker-compose.yml")).unwrap();
    for (_, default) in compose.lines().filter_map(|line| line.split_once("PASSWORD:-")) {
        assert!(EXAMPLES.contains(&default.trim_end_matches('}')), "{default:?}");
    }
}
