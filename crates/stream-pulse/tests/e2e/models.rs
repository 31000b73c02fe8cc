//! `train` and `models`, as a person calls them.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

const CONFIG: &str = "name: pumps\nfeatures: [load, flow]\n\
    detectors:\n  isolation_forest: { trees: 20, sample_size: 64, seed: 7, expected_rate: 0.02 }\n";

fn call(folder: &Path, args: &[&str]) -> Output {
    command(folder, args).output().unwrap()
}

fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stream-pulse"));
    command.args(args).arg("--usecases").arg(folder.join("usecases"));
    command.env_remove("USE_CASE").env_remove("PULSE_CONFIG");
    command
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A use case, and files to train it on: of 400 rows one in 50 is out of the ordinary, and says so; two are no events.
fn prepared() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("usecases/pumps");
    std::fs::create_dir_all(&place).unwrap();
    std::fs::write(place.join("config.yaml"), CONFIG).unwrap();
    let (mut csv, mut lines) = ("load,flow,broken\n".to_owned(), String::new());
    for i in 0..400_u32 {
        let (load, flow) = (f64::from(i * 7919 % 101), f64::from(i * 104_729 % 103));
        let (load, broken) = if i % 50 == 7 { (load + 900.0, 1) } else { (load, 0) };
        csv.push_str(&format!("{load},{flow},{broken}\n"));
        lines.push_str(&format!("{{\"load\":{load},\"flow\":{flow},\"unit\":\"p{i}\",\"broken\":{}}}\n", broken == 1));
    }
    csv.push_str("much,3,0\n");
    lines.push_str("{\"load\":1}\n\n");
    std::fs::write(folder.path().join("events.csv"), csv).unwrap();
    std::fs::write(folder.path().join("events.jsonl"), lines).unwrap();
    folder
}

fn train(folder: &Path, args: &[&str]) -> Value {
    let output = call(folder, &[&["train", "pumps", "--json"], args].concat());
    assert!(output.status.success(), "{}", said(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn active(folder: &Path) -> Vec<String> {
    let output = call(folder, &["models", "list", "pumps", "--json"]);
    assert!(output.status.success(), "{}", said(&output));
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    let models = list["models"].as_array().unwrap().clone();
    models.into_iter().filter(|m| m["active"] == true).map(|m| m["version"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_model_is_trained_listed_and_taken_back() {
    let folder = prepared();
    let path = folder.path();
    let file = |name: &str| path.join(name).display().to_string();
    let first = train(path, &[&file("events.csv"), "--label", "broken"]);
    assert_eq!((&first["trained_rows"], &first["rows_left_out"]), (&400.into(), &1.into()));
    assert!(first["quality"]["roc_auc"].as_f64().unwrap() > 0.99, "{first}");
    assert_eq!(first["quality"]["anomalies"], 8);
    assert_eq!(first["columns"][0]["name"], "load");
    let versions = |report: &Value| report["version"].as_str().unwrap().to_owned();
    assert_eq!(active(path), [versions(&first)]);
    // The same events are the same model, whatever they are written in.
    assert_eq!(versions(&train(path, &[&file("events.jsonl"), "--no-activate"])), versions(&first));
    let second = train(path, &[&file("events.csv"), &file("events.jsonl"), "--max-rows", "300", "--no-activate"]);
    assert_eq!((&second["active"], active(path)), (&false.into(), vec![versions(&first)]));
    let second = train(path, &[&file("events.csv"), &file("events.jsonl"), "--max-rows", "300"]);
    assert_eq!(second["active"], true);
    assert_eq!((&second["trained_rows"], &second["rows_left_out"]), (&300.into(), &2.into()));
    assert_eq!(active(path), [versions(&second)]);

    let output = call(path, &["models", "rollback", "pumps"]);
    assert!(said(&output).contains(&versions(&first)), "{}", said(&output));
    assert_eq!(active(path), [versions(&first)]);
    assert!(!call(path, &["models", "rollback", "pumps"]).status.success(), "there is none before it");
    assert!(call(path, &["models", "activate", "pumps", &versions(&second)]).status.success());
    assert_eq!(active(path), [versions(&second)]);
    let listed = said(&call(path, &["models", "list", "pumps"]));
    let marked: Vec<&str> = listed.lines().filter(|line| line.starts_with('*')).collect();
    assert!(marked.len() == 1 && marked[0].contains(&versions(&second)), "{listed}");
}

#[test]
fn a_candidate_and_a_removal() {
    let folder = prepared();
    let path = folder.path();
    let file = |name: &str| path.join(name).display().to_string();
    let first = train(path, &[&file("events.csv")]);
    let second = train(path, &[&file("events.csv"), "--max-rows", "300", "--no-activate"]);
    let [first, second] = [&first, &second].map(|report| report["version"].as_str().unwrap().to_owned());
    let output = call(path, &["models", "candidate", "pumps", &first]);
    assert!(!output.status.success() && said(&output).contains("it is in force itself"), "{}", said(&output));
    assert!(call(path, &["models", "candidate", "pumps", &second]).status.success());
    let listed = said(&call(path, &["models", "list", "pumps"]));
    assert!(listed.lines().any(|line| line.starts_with('?') && line.contains(&second)), "{listed}");
    let refused = call(path, &["models", "remove", "pumps", &second]);
    assert!(!refused.status.success() && said(&refused).contains("is used"), "{}", said(&refused));
    assert!(call(path, &["models", "candidate", "pumps"]).status.success());
    assert!(call(path, &["models", "remove", "pumps", &second]).status.success());
    assert!(!said(&call(path, &["models", "list", "pumps"])).contains(&second));
}

#[test]
fn what_up_has_in_its_file_is_trained_on() {
    let folder = prepared();
    let data = folder.path().join("data").display().to_string();
    let usecases = concat!(env!("CARGO_MANIFEST_DIR"), "/../../usecases");
    // Its models are to come into a copy.
    let copy = folder.path().join("usecases/server_logs");
    std::fs::create_dir(&copy).unwrap();
    for file in ["config.yaml", "features.vrl", "sample.csv"] {
        std::fs::copy(format!("{usecases}/server_logs/{file}"), copy.join(file)).unwrap();
    }
    let place = folder.path().join("usecases").display().to_string();
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stream-pulse"));
        for service in ["DASHBOARD", "ML_SERVICE", "SIMULATOR", "PROCESSOR", "WRITER"] {
            command.env(format!("PULSE__{service}__PORT"), "0");
        }
        command.env("PULSE__USECASES", &place).env_remove("PULSE_CONFIG").args(args).output().unwrap()
    };
    let refused = call(folder.path(), &["train", "server_logs", "--from", "log", "--data-dir", &data]);
    assert!(
        !refused.status.success() && said(&refused).contains("name its folder by --data-dir"),
        "{}",
        said(&refused)
    );
    let output = run(&["up", "--use-case", "server_logs", "--events", "3000", "--rate", "max", "--data-dir", &data]);
    assert!(output.status.success(), "{}", said(&output));
    let output = run(&["train", "server_logs", "--from", "log", "--data-dir", &data, "--json"]);
    assert!(output.status.success(), "{}", said(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["trained_rows"], &report["active"]), (&3000.into(), &true.into()));
    let no_kafka = run(&["train", "server_logs", "--from", "kafka"]);
    assert!(!no_kafka.status.success() && said(&no_kafka).contains("kafka"), "{}", said(&no_kafka));
}

#[test]
fn what_cannot_be_is_said_with_the_mend() {
    let folder = prepared();
    let path = folder.path();
    let file = |name: &str| path.join(name).display().to_string();
    std::fs::write(path.join("events.xml"), "<events/>").unwrap();
    std::fs::write(path.join("other.csv"), "a,b\n1,2\n").unwrap();
    let refused = |args: &[&str], wanted: &str| {
        let output = call(path, args);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains(wanted), "no {wanted:?} in: {}", said(&output));
    };
    refused(&["train", "pumps"], "sample.csv");
    refused(&["train", "pumps", &file("events.xml")], "events.xml is no .csv, .jsonl");
    refused(&["train", "pumps", &file("none.csv")], "none.csv");
    refused(&["train", "pumps", &file("other.csv")], "no row is a valid event; the first fault: load");
    refused(&["train", "pumps", &file("events.csv"), "--label", "wrong"], "says by \"wrong\"");
    refused(&["train", "wells"], "no use case \"wells\"");
    refused(&["models", "activate", "pumps", "../../etc"], "there is no model version");
    let first = train(path, &[&file("events.csv")]);
    let version = first["version"].as_str().unwrap();
    refused(&["models", "activate", "pumps", "0123"], version);

    // Its features are others now.
    let place = path.join("usecases/pumps");
    std::fs::write(place.join("config.yaml"), CONFIG.replace("flow", "heat")).unwrap();
    refused(&["models", "activate", "pumps", version], "it wants flow, and there are load, heat: train anew");
    std::fs::write(place.join("config.yaml"), CONFIG).unwrap();
    let forest = place.join("models").join(version).join("forest.bin");
    let mut bytes = std::fs::read(&forest).unwrap();
    bytes[50] ^= 1;
    std::fs::write(&forest, bytes).unwrap();
    refused(&["models", "activate", "pumps", version], "checksum");
    // The same model trained again takes the place of what nobody can use.
    assert_eq!(train(path, &[&file("events.csv")])["version"], version);
    assert_eq!(active(path), [version]);
    // Nothing of the model depends on this, but its schema is another.
    let with_site = CONFIG.replace("flow]", "flow, { name: site, type: string, required: false }]");
    std::fs::write(place.join("config.yaml"), with_site).unwrap();
    refused(&["models", "activate", "pumps", version], "train anew");
    assert_eq!(train(path, &[&file("events.csv")])["version"], version);
    assert!(call(path, &["models", "activate", "pumps", version]).status.success());
    // What says which one is in force is broken: putting one in force mends it.
    std::fs::write(place.join("models/active.json"), "{").unwrap();
    refused(&["models", "rollback", "pumps"], "active.json is damaged");
    assert!(call(path, &["models", "activate", "pumps", version]).status.success());
    assert_eq!(active(path), [version]);
}

#[test]
fn models_may_lie_apart_from_their_use_case() {
    let folder = prepared();
    let path = folder.path();
    let models = path.join("elsewhere");
    let mut elsewhere = command(path, &["train", "pumps", &path.join("events.csv").display().to_string()]);
    let output = elsewhere.env("PULSE__MODELS", &models).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert!(models.join("pumps/active.json").is_file());
    assert!(!path.join("usecases/pumps/models").exists());
    assert!(active(path).is_empty());
    let output = command(path, &["models", "list", "pumps", "--json"]).env("PULSE__MODELS", &models).output().unwrap();
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(list["models"][0]["active"], true, "{list}");
}
