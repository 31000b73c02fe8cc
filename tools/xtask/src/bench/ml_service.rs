//! The ML service beside FastAPI with scikit-learn: the same trips, the same columns, forests of the same size.

mod report;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

use super::load::{self, Load};
use crate::http::{self, JSON_LENGTH, request};
use crate::ml_service::{self, USE_CASE};
use crate::peers::python;
use crate::server::Server;
use crate::step;
use report::{Figures, Side};

const PACKAGES: [&str; 5] =
    ["fastapi==0.165.0", "uvicorn[standard]==0.54.0", "scikit-learn==1.9.1", "numpy==2.4.6", "orjson==3.13.0"];
/// Connections that ask for single verdicts, and for batches.
const CONNECTIONS: [usize; 2] = [32, 4];
/// Rows of a batch, where the service takes as many.
const BATCH_ROWS: usize = 8192;
/// Before the first round, so that nothing is measured cold.
const WARM_UP: Duration = Duration::from_secs(1);
const JSON: (&str, &str) = ("Content-Type", "application/json");
const BINARY: (&str, &str) = ("Content-Type", "application/octet-stream");

/// What our service says of its model.
#[derive(Debug, Deserialize)]
struct Metadata {
    parameters: Parameters,
}

#[derive(Debug, Deserialize)]
struct Parameters {
    columns: Vec<String>,
    max_rows: usize,
}

/// What is asked: trips as JSON, and batches of columns as bytes.
#[derive(Debug)]
struct Questions {
    events: Vec<Vec<u8>>,
    batches: Vec<Vec<u8>>,
    columns: usize,
    rows: usize,
}

/// Measures both in turn, for so many seconds each time.
pub(super) fn run(seconds: u64, rounds: u32, program: Option<&Path>) -> anyhow::Result<()> {
    ensure!(seconds > 0 && rounds > 0, "there must be at least one second and one round");
    let program = ml_service::program(true, program)?;
    let python = python("bench-ml-service", &PACKAGES)?;
    let folder = tempfile::tempdir()?;
    let ours = ml_service::start(&program, folder.path())?;
    let questions = Questions::of(&ours, &python, folder.path())?;
    let cores = std::thread::available_parallelism()?.get();
    // One for each core, and connections dealt out evenly: no load balancer does better.
    let theirs =
        (0..cores).map(|_| start_theirs(&python, folder.path(), ours.address())).collect::<Result<Vec<_>, _>>()?;
    let addresses = theirs.iter().map(Server::address).collect();
    let sides = [
        (Side::Ours, std::slice::from_ref(&ours), questions.to_ours(ours.address())),
        (Side::Theirs, theirs.as_slice(), questions.to_theirs(addresses)),
    ];
    for (.., loads) in &sides {
        loads.iter().try_for_each(|load| load::run(load, WARM_UP).map(drop))?;
    }
    let mut figures = Figures::new(questions.rows)?;
    for round in 1..=rounds {
        for (what, _) in CONNECTIONS.iter().enumerate() {
            for (side, servers, loads) in &sides {
                let used = || servers.iter().filter_map(Server::processor_time).sum::<Duration>();
                let before = used();
                let measured = load::run(&loads[what], Duration::from_secs(seconds))?;
                // Each by itself: on a machine that does something else, too, the best round tells more than the median.
                let (rate, p99) = (measured.rate(), report::milliseconds(&measured.latencies, 0.99));
                println!("round {round} of {rounds}: {}: {rate:.0} answers/s, p99 {p99:.2} ms", side.name());
                figures.add(*side, what, &measured, used() - before)?;
            }
        }
    }
    println!("\n{}; the client on the same cores; medians of {rounds} rounds of {seconds} s", report::machine(cores));
    figures.print(CONNECTIONS);
    Ok(())
}

impl Questions {
    /// The trips of the sample that our model is not trained on.
    fn of(ours: &Server, python: &Path, folder: &Path) -> anyhow::Result<Self> {
        let metadata: Metadata = get(ours.address(), &format!("/v2/models/{USE_CASE}"))?;
        let Parameters { columns, max_rows } = metadata.parameters;
        let mut write = Command::new(python);
        write.arg(script("ml_service.py")).arg("rows").args([&ml_service::sample(), folder]);
        if !step::run("trips", &mut write)? {
            bail!("the trips cannot be read");
        }
        let events = std::fs::read_to_string(folder.join("events.jsonl"))?;
        let events = events.lines().map(|event| event.as_bytes().to_vec()).collect();
        let bytes = std::fs::read(folder.join("rows.f64"))?;
        let width = columns.len() * size_of::<f64>();
        let rows = BATCH_ROWS.min(max_rows).min(bytes.len() / width.max(1));
        let batches = bytes.chunks_exact(rows * width).map(<[u8]>::to_vec).collect();
        Ok(Self { events, batches, columns: columns.len(), rows })
    }

    fn to_ours(&self, address: SocketAddr) -> [Load; 2] {
        let batches = self.batches.iter().map(|batch| message(batch, self.rows, self.columns));
        self.loads(vec![address], batches.collect())
    }

    fn to_theirs(&self, addresses: Vec<SocketAddr>) -> [Load; 2] {
        let batches = self.batches.iter().map(|batch| request("POST", "/infer", &[BINARY], batch));
        self.loads(addresses, batches.collect())
    }

    fn loads(&self, addresses: Vec<SocketAddr>, batches: Arc<[Vec<u8>]>) -> [Load; 2] {
        let [single, several] = CONNECTIONS;
        let events = self.events.iter().map(|event| request("POST", "/predict", &[JSON], event)).collect();
        let scores = Some(self.rows * size_of::<f64>());
        [
            Load { addresses: addresses.clone(), connections: single, requests: events, binary: None },
            Load { addresses, connections: several, requests: batches, binary: scores },
        ]
    }
}

/// A request of the Open Inference Protocol for the scores of `rows` rows, all in binary form.
fn message(values: &[u8], rows: usize, columns: usize) -> Vec<u8> {
    let size = json!({"binary_data_size": values.len()});
    let input = json!({"name": "rows", "shape": [rows, columns], "datatype": "FP64", "parameters": size});
    let output = json!({"name": "score", "parameters": {"binary_data": true}});
    let head = json!({"inputs": [input], "outputs": [output]}).to_string();
    let headers = [BINARY, (JSON_LENGTH, &head.len().to_string())];
    request("POST", &format!("/v2/models/{USE_CASE}/infer"), &headers, &[head.as_bytes(), values].concat())
}

/// Starts one process of theirs, with a forest of the size that ours has.
fn start_theirs(python: &Path, folder: &Path, ours: SocketAddr) -> anyhow::Result<Server> {
    let models: Value = get(ours, "/models")?;
    let model = &models["models"][0];
    Server::start("fastapi", folder, |port| {
        let mut command = Command::new(python);
        command.args(["-m", "uvicorn", "--factory", "ml_service:service", "--app-dir"]).arg(script(""));
        command.args(["--no-access-log", "--log-level", "warning", "--port", &port.to_string()]);
        command.env("SAMPLE", ml_service::sample()).env("EXPECTED_RATE", model["expected_rate"].to_string());
        command.env("TREES", model["trees"].to_string()).env("SAMPLE_SIZE", model["sample_size"].to_string());
        command
    })
}

fn get<T: serde::de::DeserializeOwned>(address: SocketAddr, path: &str) -> anyhow::Result<T> {
    let (status, body) = http::get(address, path)?;
    ensure!(status == 200, "{path} answers {status}");
    serde_json::from_slice(&body).with_context(|| format!("{path} answers something else"))
}

fn script(name: &str) -> std::path::PathBuf {
    step::workspace().join("tools/xtask/peers").join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_say_where_their_json_ends() {
        let message = message(&[7; 96], 2, 6);
        let text = String::from_utf8_lossy(&message);
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("POST /v2/models/nyc_taxi/infer HTTP/1.1\r\n"));
        let length = head.lines().find_map(|line| line.strip_prefix("inference-header-content-length: ")).unwrap();
        let (json, values) = body.split_at(length.parse().unwrap());
        let json: Value = serde_json::from_str(json).unwrap();
        assert_eq!((&json["inputs"][0]["shape"], values.len()), (&json!([2, 6]), 96));
        assert!(head.contains(&format!("Content-Length: {}", body.len())));
    }
}
