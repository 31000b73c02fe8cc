//! `cargo xtask test`: everything, and one plain line at the end.

mod browser;
mod tally;

use std::io::{BufRead as _, BufReader};
use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::Instant;

use anyhow::Context as _;

use crate::step;
use tally::Tally;

/// One invocation with one set of features, so that no crate is built twice.
const CARGO_TEST: [&str; 4] = ["test", "--workspace", "--locked", "--no-fail-fast"];
const BROWSER_FEATURE: [&str; 2] = ["--features", "pulse-dashboard/browser-tests"];

/// Runs all tests.
///
/// # Errors
/// When something that tests need is missing and cannot be installed, or when cargo cannot be started.
pub(crate) fn run(no_browser: bool) -> anyhow::Result<ExitCode> {
    let mut args = CARGO_TEST.to_vec();
    if !no_browser {
        browser::ensure()?;
        args.extend(BROWSER_FEATURE);
    }
    let started = Instant::now();
    let (mut tally, status) = run_cargo(&args)?;

    println!();
    for name in tally.failed_tests() {
        println!("failed: {name}");
    }
    if no_browser {
        let left_out = browser::count_tests()?;
        tally.skip(left_out);
        println!("NOT RUN, because of --no-browser: {left_out} tests of the dashboard in a real browser");
    }
    let broken = !status.success() && tally.failed == 0;
    if broken {
        println!(
            "failed: cargo itself, counted as one: the code does not compile, or a test program crashed (see above)"
        );
    }
    println!("took {:.0} s", started.elapsed().as_secs_f64());
    println!("{}", tally.summary(broken));
    Ok(if status.success() && tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Shows what cargo prints, and counts in it.
fn run_cargo(args: &[&str]) -> anyhow::Result<(Tally, ExitStatus)> {
    let mut command = step::cargo(args);
    println!("── tests: {}", step::line(&command));
    let mut child = command.stdout(Stdio::piped()).spawn().context("cannot start cargo")?;
    let stdout = child.stdout.take().context("cargo has no output")?;
    let mut tally = Tally::default();
    for line in BufReader::new(stdout).split(b'\n') {
        let line = line.context("cannot read what cargo prints")?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        tally.read(&line);
    }
    let status = child.wait().context("cannot wait for cargo")?;
    Ok((tally, status))
}
