//! `cargo xtask e2e`: the real compose file comes up, is used as people use it, and is broken as it breaks. It needs a Docker engine with
//! Compose and nothing else, and removes what it started.

mod alerts;
mod causes;
mod compose;
mod containers;
mod dashboards;
mod prometheus;
mod receivers;
mod stages;
mod wait;

use std::process::ExitCode;
use std::time::Instant;

use clap::{Args, ValueEnum as _};

use alerts::Alerts;
use compose::Stack;
use prometheus::Prometheus;
use receivers::Receivers;
use stages::Stage;

/// What is proven.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Leave out what takes more than five minutes by itself, and say what that is.
    #[arg(long)]
    quick: bool,
    /// Take the image as it is instead of building it.
    #[arg(long)]
    no_build: bool,
    /// Only these stages, after the start.
    #[arg(long, value_name = "STAGE,…", value_delimiter = ',')]
    only: Vec<Stage>,
}

/// The running stack, and all that is asked of it.
#[derive(Debug)]
struct World {
    stack: Stack,
    prometheus: Prometheus,
    alerts: Alerts,
    quick: bool,
}

/// Runs every stage, goes on after one that fails, and then says which failed.
///
/// # Errors
/// When the stack does not come up.
pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let folder = tempfile::Builder::new().prefix("pulse-e2e-").tempdir()?;
    let mut stack = Stack::new(folder.path())?;
    if !options.no_build {
        stack.build()?;
    }
    let receivers = Receivers::start(compose::address_of_host()?)?;
    stack.send_alerts_to(&receivers)?;
    let world = World {
        prometheus: Prometheus::new(stack.ports().prometheus),
        alerts: Alerts::new(receivers),
        stack,
        quick: options.quick,
    };
    if let Err(error) = stages::start(&world) {
        world.stack.show_logs();
        return Err(error);
    }
    let mut outcomes = Vec::new();
    for &stage in Stage::value_variants() {
        if !options.only.is_empty() && !options.only.contains(&stage) {
            continue;
        }
        println!("\n── {}", stage.title());
        let started = Instant::now();
        let outcome = stage.run(&world);
        let seconds = started.elapsed().as_secs();
        match &outcome {
            Ok(()) => println!("── {}: ok after {seconds} s", stage.title()),
            Err(error) => {
                // Before the next stage takes the containers away.
                world.stack.show_logs();
                println!("── {}: FAILED after {seconds} s: {error:#}", stage.title());
            }
        }
        outcomes.push((stage, outcome.is_ok()));
    }
    println!();
    let failed: Vec<_> = outcomes.iter().filter(|(_, ok)| !ok).map(|(stage, _)| stage.title()).collect();
    if failed.is_empty() {
        println!("e2e: ok");
        return Ok(ExitCode::SUCCESS);
    }
    println!("e2e: {} failed", failed.join(", "));
    Ok(ExitCode::FAILURE)
}
