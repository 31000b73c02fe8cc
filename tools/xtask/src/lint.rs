//! `cargo xtask lint`: every check that is not a test. Our own tidy rules are tests, in `tests/tidy`.

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::{step, workspace};

/// How long the database of security advisories may take to come.
const ADVISORIES_TIMEOUT: Duration = Duration::from_secs(60);

const DENY: &str = "cargo deny";

const PROMTOOL: &str = "promtool";
const NO_PROMTOOL: &str =
    "promtool: it is not installed (on Debian: apt-get install --no-install-recommends prometheus)";

/// The manifest of the workspace of the fuzz targets.
const FUZZ: &str = "fuzz/Cargo.toml";

/// Runs every check, and then says which failed.
///
/// # Errors
/// When a check cannot be started.
pub(crate) fn run() -> anyhow::Result<ExitCode> {
    let mut failed = Vec::new();
    let mut skipped = Vec::new();
    let mut check = |title: &'static str, command: &mut Command| -> anyhow::Result<()> {
        if !step::run(title, command)? {
            failed.push(title);
        }
        Ok(())
    };
    check("format", &mut step::cargo(&["fmt", "--all", "--check"]))?;
    let features = workspace::features(&workspace::packages()?, &[]);
    let clippy =
        ["clippy", "--workspace", "--all-targets", "--locked", "--features", &features, "--", "-D", "warnings"];
    check("clippy", &mut step::cargo(&clippy))?;
    let doc = ["doc", "--workspace", "--no-deps", "--locked", "--features", &features];
    check("documentation", step::cargo(&doc).env("RUSTDOCFLAGS", "-D warnings"))?;
    check("format of fuzz", &mut step::cargo(&["fmt", "--manifest-path", FUZZ, "--check"]))?;
    // With our own folder, so that what both workspaces use is built once; nothing is linked, so that the library of the
    // fuzzer, which is C++, need not be built.
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| step::workspace().join("target").into());
    let mut fuzz = step::cargo(&["clippy", "--manifest-path", FUZZ, "--locked", "--bins", "--", "-D", "warnings"]);
    check("clippy of fuzz", fuzz.env("CARGO_TARGET_DIR", target).env("CUSTOM_LIBFUZZER_PATH", "/none/libfuzzer.a"))?;
    if step::has_cargo_command("deny") {
        check(
            DENY,
            &mut step::cargo(&[
                "deny",
                "--all-features",
                "--locked",
                "check",
                "--hide-inclusion-graph",
                "licenses",
                "bans",
                "sources",
            ]),
        )?;
        if fetch_advisories()? {
            let advisories = ["deny", "--all-features", "--locked", "check", "--disable-fetch", "advisories"];
            check("advisories", &mut step::cargo(&advisories))?;
        } else {
            skipped.push("advisories: their database cannot be reached from this machine".to_owned());
        }
    } else {
        skipped.push(format!("{DENY}: it is not installed (cargo install --locked cargo-deny)"));
    }

    if step::find_program(&[PROMTOOL]).is_some() {
        for (title, mut command) in of_prometheus()? {
            check(title, &mut command)?;
        }
    } else {
        skipped.push(NO_PROMTOOL.to_owned());
    }

    println!();
    for what in &skipped {
        println!("NOT RUN: {what}");
    }
    if failed.is_empty() {
        println!("lint: ok");
        return Ok(ExitCode::SUCCESS);
    }
    println!("lint: {} failed", failed.join(", "));
    Ok(ExitCode::FAILURE)
}

/// What promtool is asked.
fn of_prometheus() -> anyhow::Result<[(&'static str, Command); 3]> {
    let promtool = |args: &[&str], files: Vec<PathBuf>| {
        let mut command = Command::new(PROMTOOL);
        command.current_dir(step::workspace()).args(args).args(files);
        command
    };
    Ok([
        // The paths in it are those of its container.
        (
            "Prometheus configuration",
            promtool(&["check", "config", "--syntax-only", "prometheus/prometheus.yml"], Vec::new()),
        ),
        ("Prometheus rules", promtool(&["check", "rules"], files("prometheus/rules")?)),
        ("tests of Prometheus rules", promtool(&["test", "rules"], files("prometheus/tests")?)),
    ])
}

/// The files of a folder of the workspace, in order.
fn files(folder: &str) -> anyhow::Result<Vec<PathBuf>> {
    let folder = step::workspace().join(folder);
    let entries = std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    files.sort();
    Ok(files)
}

/// Fetches the database of advisories. Without a network that may hang, so that there is a limit.
fn fetch_advisories() -> anyhow::Result<bool> {
    let mut command = step::cargo(&["deny", "--locked", "fetch", "db"]);
    println!("── advisories: {}", step::line(&command));
    let mut child = command.spawn().context("cannot start cargo deny")?;
    let started = Instant::now();
    while started.elapsed() < ADVISORIES_TIMEOUT {
        if let Some(status) = child.try_wait().context("cannot wait for cargo deny")? {
            return Ok(status.success());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    child.kill().context("cannot stop cargo deny")?;
    child.wait().context("cannot wait for cargo deny")?;
    Ok(false)
}
