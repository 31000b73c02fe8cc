//! What `cargo xtask …` does: the same checks for a person and for the continuous integration.
//!
//! # Invariants
//! - Nothing is left out in silence: what a machine lacks is installed, or named with the command that installs it.
//! - `RUSTFLAGS` are never changed, so that nothing is compiled twice.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the answer of a command line goes to its terminal")]

mod bench;
mod chaos;
mod conformance;
mod e2e;
mod http;
mod install;
mod lint;
mod ml_service;
mod peers;
mod server;
mod servers;
mod step;
mod test;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Tests and checks of the whole workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs every test: unit, property, documentation, integration, end to end, on real servers, and in a browser.
    Test {
        /// Leave out the tests that need chromium and chromedriver.
        #[arg(long)]
        no_browser: bool,
        /// Leave out the tests that need a real Kafka or Postgres.
        #[arg(long)]
        no_servers: bool,
    },
    /// Runs the Kafka and the Postgres that tests use, for `cargo test -p …`, until Ctrl-C.
    Servers,
    /// Kills, freezes and cuts off at random, and checks that all is as if nothing had happened.
    #[command(disable_help_flag = true)]
    Chaos {
        /// Build and run without debug code.
        #[arg(long)]
        release: bool,
        /// What the run is told; `--help` lists all.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTIONS")]
        options: Vec<String>,
    },
    /// Measures us beside others, in one run.
    Bench {
        /// What is measured.
        #[command(subcommand)]
        what: bench::Bench,
    },
    /// Asks the ML service as clients of others do: tritonclient, schemathesis, and the Python of the documents.
    Conformance(conformance::Options),
    /// Brings up the real compose file, uses it and breaks it: dashboards, alerts, replicas, crashes. Needs a Docker engine.
    E2e(e2e::Options),
    /// Checks formatting, lints, documentation, licences and dependencies.
    Lint,
}

fn main() -> ExitCode {
    let outcome = match Args::parse().command {
        Command::Test { no_browser, no_servers } => test::run(no_browser, no_servers),
        Command::Servers => servers::run(),
        Command::Chaos { release, options } => chaos::run(release, &options),
        Command::Bench { what } => bench::run(&what),
        Command::Conformance(options) => conformance::run(&options),
        Command::E2e(options) => e2e::run(&options),
        Command::Lint => lint::run(),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
