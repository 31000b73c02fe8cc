//! Good, wrong-key and bad-value settings.

use std::error::Error as _;
use std::io::Write as _;

use super::*;

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
    assert_eq!(settings.data_dir(), Path::new("data"));
    let addrs =
        [settings.dashboard(), settings.ml_service(), settings.simulator(), settings.processor(), settings.writer()];
    assert!(addrs.iter().all(|addr| addr.ip().is_loopback()));
    assert_eq!(addrs.map(|addr| addr.port()), [8501, 8000, 9101, 9102, 9103]);
    assert_eq!(settings.log(), &LogSettings { format: LogFormat::Text, level: "info".to_owned() });
    let day = Duration::from_secs(86_400);
    let retention = Retention { max_age: day, max_bytes: 2 << 30, anomaly_max_age: 30 * day };
    assert_eq!(settings.retention(), retention);
}

#[test]
fn later_sources_win() {
    let (_file, sources) = with_file("use_case = \"a\"\ndata_dir = \"from-file\"\n[dashboard]\nport = 1\n");
    let from_file = sources.clone().load().unwrap();
    assert_eq!((from_file.use_case(), from_file.dashboard().port()), ("a", 1));

    let variables = [("USE_CASE", "b"), ("PULSE__DASHBOARD__PORT", "2"), ("PULSE__HTTP__HOST", "::1")];
    let variables = variables.map(|(k, v)| (k.to_owned(), v.to_owned()));
    let from_env = sources.clone().environment(variables.clone()).load().unwrap();
    assert_eq!((from_env.use_case(), from_env.dashboard()), ("b", "[::1]:2".parse().unwrap()));
    assert_eq!(from_env.data_dir(), Path::new("from-file"), "what a later source leaves out stays");

    let sources = sources.environment(variables).set("use_case", Some("c")).set("dashboard.port", None::<u16>);
    let from_command_line = sources.load().unwrap();
    assert_eq!((from_command_line.use_case(), from_command_line.dashboard().port()), ("c", 2));
}

#[test]
fn our_own_variable_beats_the_short_one_and_empty_ones_are_unset() {
    let settings = with_env(&[("USE_CASE", "short"), ("PULSE__USE_CASE", "long")]).load().unwrap();
    assert_eq!(settings.use_case(), "long");
    let settings = with_env(&[("USE_CASE", ""), ("PULSE__DASHBOARD__PORT", "")]).load().unwrap();
    assert_eq!((settings.use_case(), settings.dashboard().port()), ("nyc_taxi", 8501));
}

#[test]
fn a_wrong_key_is_named_with_its_file_and_the_nearest() {
    let (file, sources) = with_file("[dashbord]\nport = 8600\n[kafka]\nbrokers = \"x\"\n");
    let faults = faults(sources);
    let path = file.path().display().to_string();
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert_eq!(
        faults[0].to_string(),
        format!("dashbord.port = \"8600\" ({path}) does not exist: did you mean dashboard.port?")
    );
    assert!(faults[1].mend.starts_with("does not exist: remove it, or use one of http.host, "), "{faults:?}");
}

#[test]
fn every_bad_value_is_reported_at_once() {
    let (_file, sources) = with_file("use_case = \" \"\n[retention]\nmax_mib = 1\n[log]\nformat = \"xml\"\n");
    let variables = [("PULSE__DASHBOARD__PORT", "eighty"), ("PULSE__HTTP__HOST", "localhost"), ("PULSE__LOG", "json")];
    let sources = sources.environment(variables.map(|(k, v)| (k.to_owned(), v.to_owned())));
    let faults = faults(sources.set("writer.port", Some(70_000)));
    let keys: Vec<&str> = faults.iter().map(|fault| fault.key.as_str()).collect();
    assert_eq!(keys, ["http.host", "dashboard.port", "writer.port", "retention.max_mib", "use_case", "log"]);
    let port = &faults[1];
    assert_eq!((port.value.as_str(), port.origin.as_str()), ("eighty", "PULSE__DASHBOARD__PORT"));
    assert_eq!(port.mend, "must be a port, from 0 (any free one) to 65535");
    assert_eq!(faults[2].origin, "the command line");
    assert_eq!(faults[3].mend, "must be a whole number from 16 to 16777216");
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

    let (file, sources) = with_file("use_case = \n");
    let reason = sources.load().unwrap_err().source().unwrap().to_string();
    // Its path may be given from the current folder.
    assert!(reason.contains(&*file.path().file_name().unwrap().to_string_lossy()), "{reason}");
}

#[test]
fn variables_are_named_after_keys() {
    assert_eq!(env_name("ml_service.port"), "PULSE__ML_SERVICE__PORT");
    assert_eq!(env_name("use_case"), "PULSE__USE_CASE");
}
