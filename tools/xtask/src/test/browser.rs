//! The browser that the dashboard is tested in.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::step;

const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const DRIVERS: [&str; 1] = ["chromedriver"];

/// Sees to it that a browser and its driver are there: installs them where that needs no question, which is as root on
/// a system with apt.
///
/// # Errors
/// When they are missing and are not to be had that way; the text says how.
pub(super) fn ensure() -> anyhow::Result<()> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    println!("the dashboard is tested in a real browser, and this machine has no {}", missing.join(" and no "));
    if is_root() && step::find_program(&["apt-get"]).is_some() {
        install()?;
        if self::missing().is_empty() {
            return Ok(());
        }
    }
    bail!(
        "no {} on the PATH: install them (on Debian: sudo apt-get install chromium chromium-driver), or leave these \
         tests out with `cargo xtask test --no-browser`",
        self::missing().join(" and no ")
    );
}

/// How many tests need the browser.
///
/// # Errors
/// When their source cannot be read.
pub(super) fn count_tests() -> anyhow::Result<u64> {
    let path = step::workspace().join("crates/dashboard/tests/browser.rs");
    let source = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let is_test = |line: &&str| line.starts_with("#[test]") || line.starts_with("#[tokio::test");
    Ok(source.lines().filter(is_test).count() as u64)
}

fn missing() -> Vec<&'static str> {
    [BROWSERS.as_slice(), &DRIVERS]
        .into_iter()
        .filter(|names| step::find_program(names).is_none())
        .map(|n| n[0])
        .collect()
}

fn install() -> anyhow::Result<()> {
    let apt = |args: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(args).env("DEBIAN_FRONTEND", "noninteractive").stdin(std::process::Stdio::null());
        command
    };
    step::run("package lists", &mut apt(&["-q", "update"]))?;
    step::run("browser", &mut apt(&["-q", "-y", "--no-install-recommends", "install", "chromium", "chromium-driver"]))?;
    Ok(())
}

/// Whether this process may install packages. The owner of `/proc/self` is the user it runs as.
#[cfg(unix)]
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    Path::new("/proc/self").metadata().is_ok_and(|metadata| metadata.uid() == 0)
}

#[cfg(not(unix))]
fn is_root() -> bool {
    false
}
