//! The real binary: how it starts, what it answers, how it ends.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "whatever fails here fails a test, as it should")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use pulse_features::UseCaseDir;
use pulse_ml_service::{Files, Provenance, Registry, RegistryError, train_from_files};
use serde_json::Value;

/// Longer than anything takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(120);

fn command(usecases: &Path, use_case: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ml-service"));
    command.env_remove("PULSE_CONFIG").env_remove("RUST_LOG").env("USE_CASE", use_case);
    command.env("PULSE__ML_SERVICE__PORT", "0").env("PULSE__USECASES", usecases).env("PULSE__LOG__FORMAT", "json");
    command.stdin(Stdio::null()).stderr(Stdio::piped());
    command
}

struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (said, lines) = mpsc::channel();
        // On a thread of its own, as a read has no deadline. It goes on to read when nobody listens, or the child would wait.
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                drop(said.send(line));
            }
        });
        Self { child, lines }
    }

    /// Its next line in the log with this message.
    fn line(&mut self, message: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).unwrap_or_else(|error| panic!("no {message:?}: {error}"));
            let line: Value = serde_json::from_str(&line).unwrap();
            if line["message"] == message {
                return line;
            }
        }
    }

    fn base(&mut self) -> String {
        format!("http://{}", self.line("ml-service starts")["address"].as_str().unwrap())
    }

    fn stop(mut self) -> ExitStatus {
        let sent = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status().unwrap();
        assert!(sent.success());
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(began.elapsed() < PATIENCE, "it does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Ending one that has ended already fails, and that is fine.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn get(url: &str) -> (u16, Value) {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut response = agent.get(url).call().unwrap();
    (response.status().as_u16(), serde_json::from_str(&response.body_mut().read_to_string().unwrap()).unwrap())
}

fn wait_until_ready(base: &str) {
    let began = Instant::now();
    while get(&format!("{base}/ready")).0 != 200 {
        assert!(began.elapsed() < PATIENCE, "it does not become ready");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/usecases")
}

#[test]
fn it_trains_serves_and_stops() {
    let mut service = Running::start(command(&fixtures(), "rides"));
    let base = service.base();
    wait_until_ready(&base);
    assert_eq!(get(&format!("{base}/health")).0, 200);
    assert!(service.stop().success());
}

#[test]
fn without_a_sample_it_is_ready_and_waits_for_events_to_train_on() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("bare")).unwrap();
    let config = "name: bare\nfeatures: [a, b]\nkafka: { topic: bare }\nmetrics: { prefix: bare }\n";
    fs::write(folder.path().join("bare/config.yaml"), config).unwrap();
    let mut service = Running::start(command(folder.path(), "bare"));
    let base = service.base();
    assert_eq!(service.line("waiting for the first events to train on")["topic"], "bare");
    wait_until_ready(&base);
    let (status, health) = get(&format!("{base}/health"));
    assert_eq!((status, &health["status"]), (200, &"warming_up".into()), "{health}");
    // Its rolling detector decides, too, so that processors need not wait.
    let (status, model) = get(&format!("{base}/v2/models/bare"));
    assert_eq!((status, &model["state"]), (503, &"no_model".into()), "{model}");
    assert!(service.stop().success());
}

#[test]
fn a_stop_overtakes_training() {
    /// A stop takes far less, and the forest below far longer.
    const SOON: Duration = Duration::from_secs(10);
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("vast")).unwrap();
    let config = "name: vast\nfeatures: [a, b]\ndetectors:\n  isolation_forest: { trees: 10000, sample_size: 8000 }\n";
    fs::write(folder.path().join("vast/config.yaml"), config).unwrap();
    let rows: String = (0..20_000).map(|i| format!("{},{}\n", i * 7919 % 10_007, i * 104_729 % 10_009)).collect();
    fs::write(folder.path().join("vast/sample.csv"), format!("a,b\n{rows}")).unwrap();
    let mut service = Running::start(command(folder.path(), "vast"));
    let base = service.base();
    let began = Instant::now();
    while !get(&format!("{base}/ready")).1.to_string().contains("training the model") {
        assert!(began.elapsed() < PATIENCE, "it does not train");
        std::thread::sleep(Duration::from_millis(20));
    }
    let began = Instant::now();
    assert!(service.stop().success());
    assert!(began.elapsed() < SOON, "the stop took {:?}", began.elapsed());
}

#[test]
fn a_wrong_start_ends_with_a_plain_line() {
    let refused = |command: &mut Command| {
        let output = command.output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = refused(&mut command(&fixtures(), "nothing"));
    assert!(code == 1 && said.contains("no use case \\\"nothing\\\"") && said.contains("rides"), "{said}");
    let (code, said) = refused(command(&fixtures(), "rides").env("PULSE__ML_SERVICE__PORT", "many"));
    assert!(code == 1 && said.starts_with("error: a setting is wrong: ml_service.port = \"many\""), "{said}");
    let (code, said) = refused(command(&fixtures(), "rides").arg("--port"));
    assert!(code == 2 && said.contains("--port"), "{said}");
    let version = command(&fixtures(), "rides").arg("--version").output().unwrap();
    assert!(version.status.success() && version.stdout.starts_with(b"ml-service "), "{version:?}");
}

/// Rows of the use case `pumps`, different ones for each `kind`.
fn pumps(folder: &Path, kind: u32) -> PathBuf {
    let rows: String = (0..500).map(|i| format!("{},{}\n", i * 7919 % (101 + kind), i * 104_729 % 103)).collect();
    let path = folder.join(format!("events{kind}.csv"));
    fs::write(&path, format!("load,flow\n{rows}")).unwrap();
    path
}

/// Trains on such rows, and puts the model in force.
fn put_in_force(folder: &Path, kind: u32) -> String {
    let dir = UseCaseDir::load(folder, "pumps").unwrap();
    let files = Files { paths: vec![pumps(folder, kind)], label: None, max_rows: 1000 };
    let model = train_from_files(&dir, &files, |_| {}).unwrap().model;
    let registry = Registry::new(&dir).unwrap();
    let trained_at = "2026-01-31T00:00:00Z".to_owned();
    let provenance = Provenance { trained_at, source: "a test".to_owned(), rows_left_out: 0, quality: None };
    registry.save(&model, provenance).unwrap();
    registry.activate(model.version(), None).unwrap().version().to_string()
}

#[test]
fn another_version_is_put_in_force_while_requests_are_under_way() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::create_dir(path.join("pumps")).unwrap();
    fs::write(path.join("pumps/config.yaml"), "name: pumps\nfeatures: [load, flow]\n").unwrap();
    let first = put_in_force(path, 0);
    let mut service = Running::start(command(path, "pumps"));
    let base = service.base();
    wait_until_ready(&base);
    let predict = move || -> (u16, String) {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let request = agent.post(format!("{base}/predict")).header("content-type", "application/json");
        let mut response = request.send(r#"{"load":900,"flow":5}"#).unwrap();
        let answer: Value = serde_json::from_str(&response.body_mut().read_to_string().unwrap()).unwrap();
        (response.status().as_u16(), answer["model_version"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(predict(), (200, first.clone()));
    let second = put_in_force(path, 1);
    assert_ne!(first, second);
    let began = Instant::now();
    loop {
        let (status, version) = predict();
        assert_eq!(status, 200, "no request fails");
        if version == second {
            break;
        }
        assert_eq!(version, first);
        assert!(began.elapsed() < PATIENCE, "it is not put in force");
    }
    let registry = Registry::new(&UseCaseDir::load(path, "pumps").unwrap()).unwrap();
    assert_eq!(registry.roll_back(None).unwrap().version().to_string(), first);
    let began = Instant::now();
    while predict() != (200, first.clone()) {
        assert!(began.elapsed() < PATIENCE, "it is not taken back");
    }
    // One that cannot be used changes nothing.
    let active = path.join("pumps/models/active.json");
    fs::write(&active, r#"{"version":"0123456789abcdef"}"#).unwrap();
    service.line("a model that was put in force, or is a candidate, cannot be used");
    assert_eq!(predict(), (200, first));
    assert!(service.stop().success());
}

#[test]
fn one_trains_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("pumps")).unwrap();
    fs::write(folder.path().join("pumps/config.yaml"), "name: pumps\nfeatures: [load, flow]\n").unwrap();
    let registry = Registry::new(&UseCaseDir::load(folder.path(), "pumps").unwrap()).unwrap();
    let held = registry.lock().unwrap();
    let refused = registry.lock().unwrap_err();
    assert!(matches!(refused, RegistryError::Locked { .. }), "{refused}");
    drop(held);
    registry.lock().unwrap();
}
