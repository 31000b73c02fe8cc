//! What `cargo xtask …` does: the same checks for a person and for the continuous integration.
//!
//! # Invariants
//! - Nothing is left out in silence: what a machine lacks is installed, or named with the command that installs it.
//! - `RUSTFLAGS` are never changed, so that nothing is compiled twice.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the answer of a command line goes to its terminal")]

mod lint;
mod step;
mod test;

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
    /// Runs every test: unit, property, documentation, integration, end to end, and in a browser.
    Test {
        /// Leave out the tests that need chromium and chromedriver.
        #[arg(long)]
        no_browser: bool,
    },
    /// Checks formatting, lints, documentation, licences and dependencies.
    Lint,
}

fn main() -> ExitCode {
    let outcome = match Args::parse().command {
        Command::Test { no_browser } => test::run(no_browser),
        Command::Lint => lint::run(),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
