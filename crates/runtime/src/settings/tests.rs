//! Good, wrong-key and bad-value settings.

use std::error::Error as _;
use std::io::Write as _;

use super::*;
use crate::chain;

fn with_env(variables: &[(&str, &str)]) -> SettingsSources {
    SettingsSources::default().environment(variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())))
}

fn with_file(text: &str) -> (tempfile::NamedTempFile, SettingsSources) {
    let mut file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let sources = SettingsSources::default().file(Some(file.path().to_owned()));
    (file, sources)
}

fn faults(sources: SettingsSources) -> Vec<SettingsFault> {
    match sources.load() {
        Err(SettingsError::Faults(faults)) => faults,
        other => panic!("expected faults, got {other:?}"),
    }
}

#[test]
fn the_defaults_are_those_of_the_documentation() {
    let settings = SettingsSources::default().load().unwrap();
    assert_eq!(settings.use_case(), "nyc_taxi");
    assert_eq!(settings.usecases(), Path::new("usecases"));
    assert_eq!(settings.models(), None);
    assert_eq!(settings.data_dir(), Path::new("data"));
    let listen = settings.listen();
    let addrs = [listen.dashboard, listen.ml_service, listen.simulator, listen.processor, listen.writer];
    assert!(addrs.iter().all(|addr| addr.ip().is_loopback()));
    assert_eq!(addrs.map(|addr| addr.port()), [8501, 8000, 9101, 9102, 9103]);
    assert_eq!(settings.log(), &LogSettings { format: LogFormat::Text, level: "info" });
    let day = Duration::from_secs(86_400);
    let retention = Retention { max_age: day, max_bytes: 2 << 30, anomaly_max_age: 30 * day };
    assert_eq!(settings.retention(), retention);
    assert_eq!((settings.kafka().brokers.as_str(), settings.kafka().partitions), ("localhost:9092", 12));
    assert_eq!((settings.kafka().start, settings.kafka().replication_factor), (KafkaStart::Earliest, None));
    let postgres = settings.postgres();
    assert_eq!((postgres.database.as_str(), postgres.user.as_str()), ("anomalies_db", "anomaly_user"));
    assert_eq!(postgres.password, None);
    assert_eq!(settings.scorer().url, "http://localhost:8000");
    assert_eq!(settings.simulator().pace, SimulatorPace::Rate(200.0));
    assert_eq!((settings.simulator().events, settings.processor().workers), (None, None));
    assert_eq!(settings.writer(), &WriterSettings { batch_records: 2000, linger: Duration::from_millis(10) });
}

#[test]
fn later_sources_win() {
    let (_file, sources) = with_file("use_case = \"a\"\ndata_dir = \"from-file\"\n[dashboard]\nport = 1\n");
    let from_file = sources.clone().load().unwrap();
    assert_eq!((from_file.use_case(), from_file.listen().dashboard.port()), ("a", 1));

    let variables = [("USE_CASE", "b"), ("PULSE__DASHBOARD__PORT", "2"), ("PULSE__HTTP__HOST", "::1")];
    let variables = variables.map(|(k, v)| (k.to_owned(), v.to_owned()));
    let from_env = sources.clone().environment(variables.clone()).load().unwrap();
    assert_eq!((from_env.use_case(), from_env.listen().dashboard), ("b", "[::1]:2".parse().unwrap()));
    assert_eq!(from_env.data_dir(), Path::new("from-file"), "what a later source leaves out stays");

    let sources = sources.environment(variables).set("use_case", Some("c")).set("dashboard.port", None::<u16>);
    let from_command_line = sources.load().unwrap();
    assert_eq!((from_command_line.use_case(), from_command_line.listen().dashboard.port()), ("c", 2));
}

#[test]
fn our_own_variable_beats_the_short_one_and_empty_ones_are_unset() {
    let settings = with_env(&[("USE_CASE", "short"), ("PULSE__USE_CASE", "long")]).load().unwrap();
    assert_eq!(settings.use_case(), "long");
    let empty = [("USE_CASE", ""), ("PULSE__DASHBOARD__PORT", ""), ("PULSE_CONFIG", ""), ("PULSE_KAFKA_BROKERS", "")];
    let settings = with_env(&empty).file(Some(PathBuf::new())).load().unwrap();
    assert_eq!((settings.use_case(), settings.listen().dashboard.port()), ("nyc_taxi", 8501));
}

#[test]
fn a_wrong_key_is_named_with_its_file_and_the_nearest() {
    let (file, sources) = with_file("[dashbord]\nport = 8600\n[http]\nbrokers = \"x\"\n");
    let faults = faults(sources);
    let path = file.path().display().to_string();
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert_eq!(faults[0].to_string(), format!("dashbord.port ({path}) does not exist: did you mean dashboard.port?"));
    assert_eq!(faults[1].mend, "does not exist: remove it, or use one of http.host");
}

#[test]
fn every_bad_value_is_reported_at_once() {
    let (_file, sources) = with_file("use_case = \" \"\n[retention]\nmax_mib = 1\n[log]\nformat = \"xml\"\n");
    let variables = [("PULSE__DASHBOARD__PORT", "eighty"), ("PULSE__HTTP__HOST", "localhost"), ("PULSE__LOG", "json")];
    let sources = sources.environment(variables.map(|(k, v)| (k.to_owned(), v.to_owned())));
    let faults = faults(sources.set("writer.port", Some(70_000)));
    let keys: Vec<&str> = faults.iter().map(|fault| fault.key.as_str()).collect();
    assert_eq!(keys, ["use_case", "http.host", "dashboard.port", "writer.port", "retention.max_mib", "log"]);
    let port = &faults[2];
    assert_eq!((port.value.as_deref(), port.origin.as_str()), (Some("eighty"), "PULSE__DASHBOARD__PORT"));
    assert_eq!(port.mend, "must be a port, from 0 (any free one) to 65535");
    assert_eq!(faults[3].origin, "the command line");
    assert_eq!(faults[4].mend, "must be a whole number from 16 to 16777216");
    assert_eq!(faults[5].mend, "is a section: set log.format or log.level");
}

#[test]
fn a_choice_that_does_not_exist_is_answered_with_the_choices() {
    let faults = faults(with_env(&[("PULSE__LOG__FORMAT", "xml"), ("PULSE__LOG__LEVEL", "loud")]));
    assert_eq!(faults[0].mend, "must be one of text, json");
    assert_eq!(faults[1].mend, "must be one of off, error, warn, info, debug, trace");
}

#[test]
fn a_missing_or_broken_file_is_named() {
    let missing = SettingsSources::default().file(Some("/nowhere/pulse.toml".into())).load().unwrap_err();
    let reason = missing.source().unwrap().to_string();
    assert!(reason.contains("/nowhere/pulse.toml"), "{reason}");

    let (file, sources) = with_file("[postgres]\npassword = hunter2\n");
    let said = chain(&sources.load().unwrap_err());
    let path = file.path().display();
    assert!(said.contains(&format!("{path} is no TOML: TOML parse error at line 2, column 12: ")), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn variables_are_named_after_keys() {
    assert_eq!(env_name("ml_service.port"), "PULSE__ML_SERVICE__PORT");
    assert_eq!(env_name("use_case"), "PULSE__USE_CASE");
}

#[test]
fn secrets_come_from_the_value_or_from_a_file() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"hunter2\n").unwrap();
    let path = file.path().to_str().unwrap();
    let password = |variables: &[(&str, &str)]| with_env(variables).load().unwrap().postgres().password.clone();
    assert_eq!(password(&[("PULSE__POSTGRES__PASSWORD", " hunter2 ")]), Some(Secret::new(" hunter2 ")));
    assert_eq!(password(&[("PULSE__POSTGRES__PASSWORD_FILE", path)]), Some(Secret::new("hunter2")));
    assert_eq!(password(&[("PULSE__POSTGRES__PASSWORD", "")]), None);

    let both = faults(with_env(&[("PULSE__KAFKA__SASL_PASSWORD", "x"), ("PULSE__KAFKA__SASL_PASSWORD_FILE", path)]));
    assert_eq!(
        both[0].to_string(),
        "kafka.sasl_password (PULSE__KAFKA__SASL_PASSWORD) is given twice, here and by kafka.sasl_password_file \
         (PULSE__KAFKA__SASL_PASSWORD_FILE): remove one of them"
    );
    let missing = faults(with_env(&[("PULSE__POSTGRES__PASSWORD_FILE", "/nowhere/secret")]));
    assert!(missing[0].to_string().contains("= \"/nowhere/secret\" (PULSE__POSTGRES__PASSWORD_FILE) cannot be read: "));
}

#[test]
fn no_text_holds_a_secret() {
    let good = [
        ("PULSE__POSTGRES__PASSWORD", "hunter2"),
        ("PULSE__KAFKA__SSL_KEY_PASSWORD", "hunter2"),
        ("PULSE__KAFKA__PROPERTIES__SASL__OAUTHBEARER__CLIENT__SECRET", "hunter2"),
    ];
    let sources = with_env(&good);
    assert!(!format!("{sources:?}").contains("hunter2"));
    let settings = sources.load().unwrap();
    assert!(!format!("{settings:?}").contains("hunter2"));
    assert_eq!(settings.kafka().properties["sasl.oauthbearer.client.secret"].expose(), "hunter2");
    for (key, value) in [
        ("PULSE__POSTGRES__HOST", "postgres://u:hunter2@db/x"),
        ("PULSE__POSTGRES__HOST", "host=db password=hunter2"),
        ("PULSE__SCORER__URL", "http://u:hunter2@ml"),
        ("PULSE__KAFKA__BROKERS", "u:hunter2@k:9092"),
        ("PULSE__POSTGRES__PASSWORD_FILE", "postgres://u:hunter2@db/x"),
        ("PULSE_POSTGRES_PASSWORD", "hunter2"),
    ] {
        let said = chain(&with_env(&[(key, value)]).load().unwrap_err());
        assert!(said.contains(key) && !said.contains("hunter2"), "{said}");
    }
    for wrong in ["PULSE__POSTGRES__PASWORD", "PULSE__POSTGRES", "PULSE__POSTGRES__PASSWORD__X", "PULSE__TOKEN"] {
        let said = chain(&with_env(&[(wrong, "hunter2")]).load().unwrap_err());
        assert!(said.contains(wrong) && !said.contains("hunter2"), "{said}");
    }
}

#[test]
fn properties_of_librdkafka_keep_their_names() {
    let text = "[kafka.properties]\n\"socket.keepalive.enable\" = true\nlinger.ms = 7\n";
    let (_file, sources) = with_file(text);
    let variables = [("PULSE__KAFKA__PROPERTIES__CLIENT__ID".to_owned(), "me".to_owned())];
    let settings = sources.environment(variables).load().unwrap();
    let properties: Vec<_> = settings.kafka().properties.iter().map(|(k, v)| (k.as_str(), v.expose())).collect();
    assert_eq!(properties, [("client.id", "me"), ("linger.ms", "7"), ("socket.keepalive.enable", "true")]);
}

#[test]
fn a_speed_takes_the_place_of_the_rate() {
    let pace = |variables: &[(&str, &str)]| with_env(variables).load().unwrap().simulator().pace;
    assert_eq!(pace(&[("PULSE__SIMULATOR__RATE", "max")]), SimulatorPace::Max);
    assert_eq!(pace(&[("PULSE__SIMULATOR__SPEED", "60")]), SimulatorPace::Speed(60.0));
    let faults = faults(with_env(&[("PULSE__SIMULATOR__RATE", "0"), ("PULSE__SIMULATOR__SPEED", "fast")]));
    assert_eq!(faults[0].mend, "must be events per second, above 0, or max");
    assert_eq!(faults[1].mend, "must be a number above 0, where 1 is the sample's own time, or empty");
}

#[test]
fn variables_with_one_underscore_too_few_are_not_ignored() {
    let faults = faults(with_env(&[("PULSE_KAFKA__BROKERS", "a:1"), ("PULSE_POSTGRES_PASSWORD_FILE", "/a")]));
    let said: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "PULSE_KAFKA__BROKERS (the environment) sets nothing: did you mean PULSE__KAFKA__BROKERS?",
            "PULSE_POSTGRES_PASSWORD_FILE (the environment) sets nothing: did you mean PULSE__POSTGRES__PASSWORD_FILE?",
        ]
    );
}

#[test]
fn variables_of_pulseaudio_and_kubernetes_are_nothing_to_us() {
    let others = [
        ("PULSE_SERVER", "unix:/mnt/wslg/PulseServer"),
        ("PULSE_SINK", "x"),
        ("PULSE_SOURCE", "x"),
        ("PULSE_COOKIE", "x"),
        ("PULSE_RUNTIME_PATH", "/run"),
        ("PULSE_LATENCY_MSEC", "60"),
        ("PULSE_KAFKA_SERVICE_HOST", "10.0.0.7"),
        ("PULSE_KAFKA_PORT", "tcp://10.0.0.7:9092"),
        ("PULSE_POSTGRES_SERVICE_PORT", "5432"),
        ("PULSE_DASHBOARD_PORT", "tcp://10.0.0.8:8501"),
        ("PULSE_DASHBOARD_PORT_8501_TCP_ADDR", "10.0.0.8"),
    ];
    assert_eq!(with_env(&others).load().unwrap(), with_env(&[]).load().unwrap());
}
