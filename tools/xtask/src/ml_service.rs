//! Our ML service as a process.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::server::Server;
use crate::step;

/// The use case that it serves.
pub(crate) const USE_CASE: &str = "nyc_taxi";
/// What belongs to it. Versions of models do not: the service trains one, which is the same everywhere.
const FILES: [&str; 3] = ["config.yaml", "features.vrl", "sample.csv"];
const BUILD: [&str; 6] =
    ["build", "--locked", "--package=pulse-ml-service", "--features=service", "--bin", "ml-service"];

/// The program: `given`, or what cargo builds.
///
/// # Errors
/// When it cannot be built.
pub(crate) fn program(release: bool, given: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(given) = given {
        return given.canonicalize().with_context(|| format!("there is no {}", given.display()));
    }
    let mut build = step::cargo(&BUILD);
    if !step::run("the ML service", build.args(release.then_some("--release")))? {
        bail!("the ML service cannot be built");
    }
    Ok(step::target()?.join(if release { "release" } else { "debug" }).join("ml-service"))
}

/// Starts it on a copy of the use case in `folder`, so that nothing is changed here.
///
/// # Errors
/// When it does not start.
pub(crate) fn start(program: &Path, folder: &Path) -> anyhow::Result<Server> {
    let copy = folder.join("usecases").join(USE_CASE);
    std::fs::create_dir_all(&copy)?;
    for file in FILES {
        std::fs::copy(original(file), copy.join(file)).with_context(|| format!("cannot copy {file}"))?;
    }
    Server::start("ml-service", folder, |port| {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PULSE_") || name == "RUST_LOG" {
                command.env_remove(name);
            }
        }
        command.env("USE_CASE", USE_CASE).env("PULSE__USECASES", folder.join("usecases"));
        command.env("PULSE__ML_SERVICE__PORT", port.to_string());
        command
    })
}

/// The sample of the use case.
pub(crate) fn sample() -> PathBuf {
    original("sample.csv")
}

fn original(file: &str) -> PathBuf {
    step::workspace().join("usecases").join(USE_CASE).join(file)
}
