//! Programs of others, to be measured beside ours, and to ask ours.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use serde::de::DeserializeOwned;

use crate::step;

/// A Python with `packages`, in the folder `name` below `target`. What needs other versions of a package wants another folder.
///
/// # Errors
/// When there is no Python, or packages cannot be had.
pub(crate) fn python(name: &str, packages: &[&str]) -> anyhow::Result<PathBuf> {
    let folder = step::target()?.join(name);
    let python = folder.join("bin/python");
    if !python.is_file() {
        let mut make = Command::new("python3");
        if !step::run("a Python of its own", make.args(["-m", "venv"]).arg(&folder))? {
            bail!("there is no Python with venv: install it (on Debian: sudo apt-get install python3-venv)");
        }
    }
    let mut install = Command::new(&python);
    if !step::run("packages of others", install.args(["-m", "pip", "install", "--quiet"]).args(packages))? {
        bail!("the packages {} cannot be installed", packages.join(" "));
    }
    Ok(python)
}

/// What a program prints: a value of JSON in each line.
///
/// # Errors
/// When it fails, or prints something else.
pub(crate) fn figures<T: DeserializeOwned>(command: &mut Command) -> anyhow::Result<Vec<T>> {
    let line = step::line(command);
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("cannot start {line}"))?;
    if !output.status.success() {
        bail!("{line} failed: {}", output.status);
    }
    let text = String::from_utf8(output.stdout).with_context(|| format!("{line} does not print text"))?;
    text.lines()
        .map(|figure| serde_json::from_str(figure).with_context(|| format!("{line} printed {figure}")))
        .collect()
}
