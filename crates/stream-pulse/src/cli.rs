//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::{SignedDuration, Timestamp};
use pulse_simulator::Pace;

/// Finds anomalies in event streams while they happen.
#[derive(Debug, Parser)]
#[command(name = "stream-pulse", version = pulse_runtime::version(), about)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs the whole pipeline in this process, on one file.
    Up(Box<UpArgs>),
    /// Checks use cases: every fault of their files at once, or what was made of them. Ends with 1 where there are faults.
    Check(CheckArgs),
    /// Trains a new version of a use case's model, and puts it in force.
    Train(TrainArgs),
    /// Lists the versions of a use case's model, puts one in force, or goes back to the one before.
    Models(ModelsArgs),
}

/// Arguments of `train`.
#[derive(Debug, Args)]
pub struct TrainArgs {
    /// The use case
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Events: CSV with a header (.csv), one of JSON in each line (.jsonl, .ndjson, .json), or Parquet (.parquet) [default: the first part of sample.csv]
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Train instead on what is in the use case's topic now
    #[arg(long, value_name = "SOURCE", conflicts_with = "files")]
    pub from: Option<Source>,
    /// Folder of the file that `--from log` reads [env: PULSE__DATA_DIR] [default: data]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Field that says whether an event is an anomaly (1 or true): not looked at in training, but to say how good the model is
    #[arg(long, value_name = "FIELD")]
    pub label: Option<String>,
    /// Rows to train on at the most; of more, so many are drawn at random, by the seed of the isolation forest
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = parse_rows)]
    pub max_rows: usize,
    /// Store the version without putting it in force
    #[arg(long)]
    pub no_activate: bool,
    /// Folder that holds the use cases [env: PULSE__USECASES] [default: usecases]
    #[arg(long, value_name = "DIR")]
    pub usecases: Option<PathBuf>,
    /// Print the report as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Where the topic is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Source {
    /// In Kafka, at the brokers of the settings (PULSE__KAFKA__BROKERS)
    Kafka,
    /// In the file of `up`
    Log,
}

/// Arguments of `models`.
#[derive(Debug, Args)]
pub struct ModelsArgs {
    /// What to do
    #[command(subcommand)]
    pub command: ModelsCommand,
    /// Folder that holds the use cases [env: PULSE__USECASES] [default: usecases]
    #[arg(long, value_name = "DIR", global = true)]
    pub usecases: Option<PathBuf>,
}

/// What `models` does.
#[derive(Debug, Subcommand)]
pub enum ModelsCommand {
    /// Lists the stored versions, the youngest first; the one in force has a star, the candidate a question mark.
    List {
        /// The use case
        name: String,
        /// Print the list as one JSON object, with all that is known of each version
        #[arg(long)]
        json: bool,
    },
    /// Puts a version in force, here and in services that run on the same folder.
    Activate {
        /// The use case
        name: String,
        /// The version
        version: String,
    },
    /// Lets a version score beside the one in force, in services that run on the same folder: the difference is in their metrics.
    Candidate {
        /// The use case
        name: String,
        /// The version; left out, none scores beside it any more
        version: Option<String>,
    },
    /// Removes a version that is not used.
    Remove {
        /// The use case
        name: String,
        /// The version
        version: String,
    },
    /// Goes back to the version that was in force before.
    Rollback {
        /// The use case
        name: String,
    },
}

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The use cases [default: all]
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Folder that holds the use cases [env: PULSE__USECASES] [default: usecases]
    #[arg(long, value_name = "DIR")]
    pub usecases: Option<PathBuf>,
    /// Print the report as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `up`. Each one left out is taken from the environment, the settings file or the defaults.
#[derive(Debug, Args)]
pub struct UpArgs {
    /// The use case: a folder below the use cases' folder [env: USE_CASE] [default: nyc_taxi]
    #[arg(long, value_name = "NAME")]
    pub use_case: Option<String>,
    /// Settings file (TOML) [env: PULSE_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder of the file that holds log and store; started again with the same one, the pipeline goes on where it stopped
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Events per second, or `max` for as fast as possible [default: 200]
    #[arg(long, value_name = "N|max", value_parser = parse_rate, conflicts_with = "speed")]
    pub rate: Option<Pace>,
    /// Multiple of the sample's own time: 1 replays it as it happened
    #[arg(long, value_name = "X", value_parser = parse_speed)]
    pub speed: Option<Pace>,
    /// Stop when this many more events were produced and judged
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub events: Option<u64>,
    /// Stop after this time, such as 60s or 5m
    #[arg(long = "for", value_name = "TIME", value_parser = parse_duration)]
    pub duration: Option<Duration>,
    /// Share of the events that become labelled anomalies [default: 0.01]
    #[arg(long, value_name = "SHARE", value_parser = parse_share)]
    pub anomaly_rate: Option<f64>,
    /// Seed of the simulator: the same seed gives the same events [default: 42]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Time of the first event instead of now, such as 2026-01-31T00:00:00Z: makes the log the same in every run
    #[arg(long, value_name = "TIME")]
    pub start: Option<Timestamp>,
    /// Print the summary as one JSON object on standard output
    #[arg(long)]
    pub json: bool,
}

impl UpArgs {
    /// The pace asked for.
    #[must_use]
    pub fn pace(&self) -> Option<Pace> {
        self.rate.or(self.speed)
    }
}

fn parse_rows(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(rows @ 2..=100_000_000) => Ok(rows),
        _ => Err("give a number of rows from 2 to 100000000".to_owned()),
    }
}

fn parse_rate(text: &str) -> Result<Pace, String> {
    if text == "max" {
        return Ok(Pace::Max);
    }
    match text.parse() {
        Ok(rate) if rate > 0.0 && rate <= 1e9 => Ok(Pace::PerSecond(rate)),
        _ => Err("give a number of events per second above 0, or `max`".to_owned()),
    }
}

fn parse_speed(text: &str) -> Result<Pace, String> {
    match text.parse() {
        Ok(speed) if speed > 0.0 && speed <= 1e9 => Ok(Pace::Speed(speed)),
        _ => Err("give a number above 0: 1 is the sample's own time, 60 a minute of it in a second".to_owned()),
    }
}

fn parse_share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=0.5).contains(&share) => Ok(share),
        _ => Err("give a share between 0 and 0.5, such as 0.01".to_owned()),
    }
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let duration: Option<SignedDuration> = text.parse().ok();
    let positive = duration.and_then(|duration| Duration::try_from(duration).ok()).filter(|d| !d.is_zero());
    positive.ok_or_else(|| "give a time such as 60s, 5m or 1h30m".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up(args: &[&str]) -> Result<UpArgs, clap::Error> {
        let cli = Cli::try_parse_from(["stream-pulse", "up"].iter().chain(args))?;
        match cli.command {
            Command::Up(args) => Ok(*args),
            _ => panic!("`up` was asked for"),
        }
    }

    #[test]
    fn arguments_are_checked() {
        assert_eq!(up(&[]).unwrap().pace(), None);
        assert_eq!(up(&["--rate", "max"]).unwrap().pace(), Some(Pace::Max));
        assert_eq!(up(&["--speed", "60"]).unwrap().pace(), Some(Pace::Speed(60.0)));
        assert_eq!(up(&["--for", "90s"]).unwrap().duration, Some(Duration::from_secs(90)));
        for bad in [
            ["--rate", "0"],
            ["--rate", "fast"],
            ["--speed", "-1"],
            ["--events", "0"],
            ["--for", "0s"],
            ["--for", "-5s"],
            ["--for", "soon"],
            ["--anomaly-rate", "0.6"],
            ["--start", "yesterday"],
        ] {
            assert!(up(&bad).is_err(), "{bad:?}");
        }
        assert!(up(&["--rate", "5", "--speed", "5"]).is_err());
    }
}
