//! The `stream-pulse` command: parses, builds, runs, drains.

use std::process::ExitCode;

use clap::Parser;
use stream_pulse::cli::{Cli, Command};
use stream_pulse::{check, models, train, up};

fn main() -> ExitCode {
    let args = match Cli::parse().command {
        Command::Up(args) => *args,
        Command::Check(args) => return answer(check::run(args)),
        Command::Train(args) => return answer(train::run(args).map(|()| true)),
        Command::Models(args) => return answer(models::run(args).map(|()| true)),
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&anyhow::Error::new(error).context("no threads can be started")),
    };
    match runtime.block_on(up::run(args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn answer(outcome: anyhow::Result<bool>) -> ExitCode {
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => fail(&error),
    }
}

#[expect(clippy::print_stderr, reason = "the last word of a command that failed")]
fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}
