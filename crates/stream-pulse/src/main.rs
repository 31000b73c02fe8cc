//! The `stream-pulse` command: parses, builds, runs, drains.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use stream_pulse::cli::{Cli, Command};
use stream_pulse::{check, models, train, up};

fn main() -> ExitCode {
    let done = |()| true;
    let outcome = match Cli::parse().command {
        Command::Up(args) => block_on(up::run(*args)).map(done),
        Command::Check(args) => check::run(args),
        Command::Train(args) => block_on(train::run(args)).map(done),
        Command::Models(args) => models::run(args).map(done),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => fail(&error),
    }
}

fn block_on(run: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Runtime::new().context("no threads can be started")?.block_on(run)
}

#[expect(clippy::print_stderr, reason = "the last word of a command that failed")]
fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}
