//! What `cargo xtask chaos` runs: see [`pulse_e2e::chaos`].

#![expect(clippy::print_stdout, reason = "what happens and what came of it is what it is for")]

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use pulse_e2e::chaos::{Chaos, Failover, chaos, failover};

/// Kills, freezes and cuts off at random, and checks that all is as if nothing had happened.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask chaos", bin_name = "cargo xtask chaos")]
struct Args {
    /// For how long things happen.
    #[arg(long, default_value_t = 5.0, value_parser = minutes)]
    minutes: f64,
    /// From which all is drawn that happens.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// So many runs, each with the seed after that of the one before.
    #[arg(long, default_value_t = 1)]
    runs: u64,
    /// The use case.
    #[arg(long, default_value = "nyc_taxi")]
    use_case: String,
    /// Events per second.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Measure instead for how long partitions stand still when processors die, stop and come, each so often.
    #[arg(long, value_name = "TRIALS", num_args = 0..=1, default_missing_value = "10")]
    failover: Option<usize>,
    /// What all services are told besides, such as PULSE__LOG__LEVEL=debug.
    #[arg(long = "set", value_name = "VARIABLE=VALUE", value_parser = setting)]
    settings: Vec<(String, String)>,
    /// Where logs go: of each run that failed, and of measurements.
    #[arg(long, default_value = "target/chaos")]
    logs: PathBuf,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    tokio::select! {
        ended = run(&args) => ended,
        // What runs ends with what is dropped by this.
        signal = tokio::signal::ctrl_c() => {
            signal?;
            anyhow::bail!("interrupted")
        }
    }
}

async fn run(args: &Args) -> anyhow::Result<()> {
    let say = |text: &str| println!("{text}");
    if let Some(trials) = args.failover {
        let (settings, logs) = (args.settings.clone(), args.logs.join("failover"));
        let table = failover(&Failover { seed: args.seed, trials, rate: args.rate, settings, logs }, &say).await?;
        println!("\n{table}");
        return Ok(());
    }
    for seed in args.seed..args.seed.saturating_add(args.runs) {
        let run = Chaos {
            seed,
            length: Duration::from_secs_f64(args.minutes * 60.0),
            use_case: args.use_case.clone(),
            rate: args.rate,
            settings: args.settings.clone(),
            logs: args.logs.join(format!("seed-{seed}")),
        };
        println!("seed {seed}: {}", chaos(&run, &say).await?);
    }
    Ok(())
}

fn minutes(text: &str) -> Result<f64, String> {
    let minutes: f64 = text.parse().map_err(|_| "a number is wanted")?;
    if minutes > 0.0 && minutes <= 24.0 * 60.0 { Ok(minutes) } else { Err("a number above 0, up to 1440".to_owned()) }
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("VARIABLE=VALUE is wanted")?;
    Ok((name.to_owned(), value.to_owned()))
}
