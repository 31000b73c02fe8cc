//! Variables of the environment that were meant for us and set nothing, as `PULSE_KAFKA__BROKERS`.
//!
//! Not all that begin with `PULSE_` are: PulseAudio has some (`PULSE_SERVER` is set wherever WSL is), and Kubernetes makes
//! them of the names of its services (`PULSE_KAFKA_SERVICE_HOST`).

use std::collections::HashMap;

use pulse_core::nearest;

use super::env_name;

/// Read elsewhere, or by tests.
const OTHERS: [&str; 2] = ["PULSE_CONFIG", "PULSE_COMMIT"];
const TESTS: &str = "PULSE_TEST_";

/// Those of `environment` that begin as ours do, but not as settings do, in order.
pub(super) fn of(environment: &HashMap<String, String>) -> Vec<String> {
    let is_stray = |name: &str| {
        name.starts_with("PULSE_")
            && !name.starts_with("PULSE__")
            && !name.starts_with(TESTS)
            && !OTHERS.contains(&name)
    };
    // What Kubernetes says of a service: PULSE_DASHBOARD_PORT=tcp://10.0.0.7:8501
    let is_link = |value: &str| ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme));
    let strays = environment.iter().filter(|(name, value)| is_stray(name) && !is_link(value));
    let mut names: Vec<String> = strays.map(|(name, _)| name.clone()).collect();
    names.sort_unstable();
    names
}

/// What to do about the variable `name`, where it was meant for us.
pub(super) fn mend(name: &str, known: &[&str]) -> Option<String> {
    let settings: Vec<String> = known.iter().map(|key| env_name(key)).collect();
    let plain: Vec<String> = settings.iter().map(|setting| setting.replace("__", "_")).collect();
    let near = nearest(&name.replace("__", "_"), plain.iter().map(String::as_str));
    let near = near.and_then(|near| plain.iter().position(|plain| plain == near)).map(|at| settings[at].clone());
    // Nobody but us has two of them in a row.
    match near {
        Some(near) => Some(format!("sets nothing: did you mean {near}?")),
        None if name.contains("__") => {
            Some("sets nothing: variables of ours are PULSE__SECTION__KEY, as in PULSE__LOG__LEVEL".to_owned())
        }
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 4] = ["kafka.brokers", "postgres.password_file", "postgres.port", "use_case"];

    #[test]
    fn what_was_meant_is_found() {
        for (name, meant) in [
            ("PULSE_KAFKA__BROKERS", "PULSE__KAFKA__BROKERS"),
            ("PULSE_KAFKA_BROKERS", "PULSE__KAFKA__BROKERS"),
            ("PULSE_KAFKA_BROKER", "PULSE__KAFKA__BROKERS"),
            ("PULSE_POSTGRES_PASSWORD_FILE", "PULSE__POSTGRES__PASSWORD_FILE"),
            ("PULSE_USE_CASE", "PULSE__USE_CASE"),
        ] {
            assert_eq!(mend(name, &KNOWN), Some(format!("sets nothing: did you mean {meant}?")));
        }
        assert!(mend("PULSE_SOME__THING", &KNOWN).is_some_and(|mend| mend.contains("PULSE__SECTION__KEY")));
    }

    #[test]
    fn what_others_set_is_left_alone() {
        for name in ["PULSE_SERVER", "PULSE_RUNTIME_PATH", "PULSE_KAFKA_SERVICE_HOST", "PULSE_KAFKA_PORT_9092_TCP"] {
            assert_eq!(mend(name, &KNOWN), None, "{name}");
        }
        let environment = [
            ("PULSE_POSTGRES_PORT", "tcp://10.0.0.7:5432"),
            ("PULSE_TEST_KAFKA", "a:1"),
            ("PULSE_CONFIG", "a.toml"),
            ("PULSE__KAFKA__BROKERS", "a:1"),
            ("PATH", "/bin"),
            ("PULSE_USE_CASE", "a"),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert_eq!(of(&environment), ["PULSE_USE_CASE"]);
    }
}
