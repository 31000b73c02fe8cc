//! `cargo xtask conformance`: whether programs of others that speak our protocols get along with the ML service.

mod document;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::Args;

use crate::ml_service::{self, USE_CASE};
use crate::peers::python;
use crate::server::Server;
use crate::step;

/// numpy is what tritonclient wants arrays of.
const PACKAGES: [&str; 3] = ["tritonclient[http]==2.73.0", "schemathesis==4.32.5", "numpy==2.4.6"];
/// All checks but those that its file switches off, the same cases in every run, and no more than fit in a minute or two.
const SCHEMATHESIS: [&str; 5] =
    ["--seed=7", "--max-examples=100", "--continue-on-failure", "--request-timeout=20", "--workers=1"];

/// Which program is asked.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Builds the service with optimisations.
    #[arg(long)]
    release: bool,
    /// Asks this program, such as that of another commit, instead of building ours.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

/// Asks it in three ways, and then says which failed.
///
/// # Errors
/// When something cannot be built, installed or started.
pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let program = ml_service::program(options.release, options.program.as_deref())?;
    let python = python("conformance", &PACKAGES)?;
    let folder = tempfile::tempdir()?;
    let service = ml_service::start(&program, folder.path())?;

    let mut failed = Vec::new();
    if !step::run("Open Inference Protocol", &mut open_inference(&python, &service))? {
        failed.push("Open Inference Protocol");
    }
    if !step::run("OpenAPI", &mut open_api(&python, &service, folder.path()))? {
        failed.push("OpenAPI");
    }
    if !document::check(&python, &url(&service))? {
        failed.push("clients of the document");
    }
    println!();
    if failed.is_empty() {
        println!("conformance: ok");
        return Ok(ExitCode::SUCCESS);
    }
    println!("conformance: {} failed", failed.join(", "));
    Ok(ExitCode::FAILURE)
}

/// NVIDIA's client for Triton.
fn open_inference(python: &Path, service: &Server) -> Command {
    let mut command = Command::new(python);
    command.arg(step::workspace().join("tools/xtask/peers/oip.py"));
    command.arg(service.address().to_string()).arg(USE_CASE).arg(ml_service::sample());
    command
}

/// Requests made up from our OpenAPI document, right ones and wrong ones.
fn open_api(python: &Path, service: &Server, folder: &Path) -> Command {
    let mut command = Command::new(python.with_file_name("schemathesis"));
    command.arg("--config-file").arg(step::workspace().join("tools/xtask/peers/schemathesis.toml"));
    command.args(["--no-color", "run"]).arg(format!("{}/openapi.json", url(service))).args(SCHEMATHESIS);
    // It leaves files where it runs.
    command.current_dir(folder);
    command
}

fn url(service: &Server) -> String {
    format!("http://{}", service.address())
}
