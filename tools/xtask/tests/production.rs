//! The scripts of production: what `secrets.sh` makes is fit, and `preflight.sh` refuses what is not.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

const HOST: &str = "kafka.example.com";

/// The scripts in a folder of their own, with the secrets that they made.
struct Production(TempDir);

impl Production {
    fn new() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("production")).unwrap();
        for script in ["secrets.sh", "preflight.sh"] {
            fs::copy(root.join("production").join(script), folder.path().join("production").join(script)).unwrap();
        }
        // As Compose mounts them: each by the name of its secret.
        let mounted = folder.path().join("run");
        fs::create_dir(&mounted).unwrap();
        let compose = fs::read_to_string(root.join("docker-compose.prod.yml")).unwrap();
        for line in compose.lines() {
            if let Some((name, file)) = line.split_once(": { file: ./") {
                let file = folder.path().join(file.trim_end_matches(" }"));
                symlink(file, mounted.join(name.trim())).unwrap();
            }
        }
        Self(folder)
    }

    fn write(&self, secret: &str, text: &str) {
        fs::write(self.0.path().join("production/secrets").join(secret), text).unwrap();
    }

    fn read(&self, secret: &str) -> String {
        fs::read_to_string(self.0.path().join("production/secrets").join(secret)).unwrap()
    }

    /// What is wrong, by `secrets.sh`; nothing where it succeeds.
    fn make(&self) -> String {
        said(Command::new("sh").arg("production/secrets.sh").env("KAFKA_HOST", HOST).current_dir(&self.0))
    }

    /// What is wrong, by `preflight.sh`; nothing where it succeeds.
    fn check(&self) -> String {
        said(Command::new("sh").arg("production/preflight.sh").env("SECRETS", "run").current_dir(&self.0))
    }
}

/// What a script says on standard error. When it fails it says something, and else nothing.
fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.success(), said.is_empty(), "{said}");
    said
}

#[test]
fn what_is_made_is_fit_and_stays() {
    let production = Production::new();
    assert_eq!(production.make(), "", "openssl is needed");
    assert_eq!(production.check(), "");
    let (password, certificate) = (production.read("postgres_password"), production.read("kafka.pem"));
    assert_eq!(password.trim().len(), 48);
    assert!(production.read("producers/producer/librdkafka.conf").contains(HOST));
    assert_eq!(production.make(), "");
    assert_eq!((production.read("postgres_password"), production.read("kafka.pem")), (password, certificate));
}

#[test]
fn what_is_not_fit_is_refused_all_at_once() {
    let production = Production::new();
    assert_eq!(production.make(), "", "openssl is needed");
    production.write("postgres_password", "stream-pulse\n");
    production.write("grafana_db_password", "short\n");
    production.write("ml_service_token", "");
    production.write("kafka.pem", "no certificate\n");
    let said = production.check();
    for part in [
        "postgres_password is an example's",
        "grafana_db_password has fewer than 16 characters",
        "ml_service_token is missing or empty",
        "kafka.pem holds no certificate",
    ] {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
    assert_eq!(said.lines().count(), 4, "{said}");
}

#[test]
fn certificates_that_do_not_fit_each_other_are_refused() {
    let (ours, others) = (Production::new(), Production::new());
    assert_eq!((ours.make(), others.make()), (String::new(), String::new()), "openssl is needed");
    ours.write("ca.pem", &others.read("ca.pem"));
    assert!(ours.make().contains("kafka.pem was not signed by ca.pem"));
    fs::remove_file(ours.0.path().join("production/secrets/ca.pem")).unwrap();
    assert!(ours.make().contains("ca.pem is missing"));
}
