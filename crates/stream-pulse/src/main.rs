//! The `stream-pulse` command: parses, builds, runs, drains.

use std::process::ExitCode;

use clap::Parser;
use stream_pulse::cli::{Cli, Command};
use stream_pulse::up;

fn main() -> ExitCode {
    let Cli { command } = Cli::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&anyhow::Error::new(error).context("no threads can be started")),
    };
    let result = runtime.block_on(async {
        match command {
            Command::Up(args) => up::run(*args).await,
        }
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

#[expect(clippy::print_stderr, reason = "the last word of a command that failed")]
fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}
