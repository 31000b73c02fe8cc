//! `cargo xtask test`: everything, and one plain line at the end.

mod browser;
mod tally;

use std::io::{BufRead as _, BufReader};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::time::Instant;

use anyhow::Context as _;

use crate::servers::{self, Servers};
use crate::step;
use crate::workspace::{self, BROWSER_TESTS, SERVER_TESTS};
use tally::Tally;

/// One set of features for all, so that no crate is built twice.
const CARGO_TEST: [&str; 5] = ["test", "--workspace", "--locked", "--no-fail-fast", "--features"];
/// Binaries first, as tests run those of other packages; with tests, as else libraries would have fewer features.
pub(crate) const CARGO_BUILD: [&str; 6] = ["build", "--workspace", "--locked", "--bins", "--tests", "--features"];

/// Runs all tests.
///
/// # Errors
/// When something that tests need is missing and cannot be installed, or when cargo cannot be started.
pub(crate) fn run(no_browser: bool, no_servers: bool) -> anyhow::Result<ExitCode> {
    let packages = workspace::packages()?;
    let choices = [
        (no_browser, BROWSER_TESTS, "--no-browser", "of pages in a real browser"),
        (no_servers, SERVER_TESTS, "--no-servers", "on a real Kafka and a real Postgres"),
    ];
    let left_out = || choices.iter().filter(|(is_left_out, ..)| *is_left_out);
    let without: Vec<&str> = left_out().map(|(_, feature, ..)| *feature).collect();
    if !no_browser {
        browser::ensure()?;
    }
    if !no_servers {
        servers::ensure()?;
    }
    let started = Instant::now();
    let features = workspace::features(&packages, &without);
    if !no_servers {
        // Where it fails, so do the tests, which are counted.
        step::run("binaries", step::cargo(&CARGO_BUILD).arg(&features))?;
    }
    let servers = if no_servers { None } else { Some(Servers::start()?) };
    let variables = servers.as_ref().map(Servers::variables).unwrap_or_default();
    let mut command = step::cargo(&CARGO_TEST);
    let (mut tally, status) = run_cargo(command.arg(features).envs(variables))?;
    drop(servers);

    println!();
    for name in tally.failed_tests() {
        println!("failed: {name}");
    }
    for (_, feature, option, what) in left_out() {
        let count = workspace::count_tests(&packages, feature)?;
        tally.skip(count as u64);
        println!("NOT RUN, because of {option}: {count} tests {what}");
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
fn run_cargo(command: &mut Command) -> anyhow::Result<(Tally, ExitStatus)> {
    println!("── tests: {}", step::line(command));
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
