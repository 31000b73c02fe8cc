//! `cargo xtask bench …`: our figures beside those of others, in one run.

mod forest;
mod load;
mod ml_service;

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::bail;
use clap::Subcommand;

use crate::step;

const BUILD: [&str; 5] = ["build", "--release", "--locked", "--package", "xtask"];

/// What is measured.
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// The isolation forest beside scikit-learn's and isotree's, on one thread: speed on made-up rows, quality on labelled data.
    Forest {
        /// A folder of CSV files with a header and a last column `label`, 1 for anomalies.
        #[arg(long, value_name = "FOLDER")]
        data: Option<PathBuf>,
        /// How often both sides take turns; the best of each counts.
        #[arg(long, default_value_t = 3)]
        rounds: u32,
    },
    /// The ML service beside FastAPI with scikit-learn: single verdicts, and rows in batches, a second.
    MlService {
        /// For how long each is asked in a round.
        #[arg(long, default_value_t = 5)]
        seconds: u64,
        /// How often both sides take turns; the median counts.
        #[arg(long, default_value_t = 3)]
        rounds: u32,
        /// Measures this program, such as that of another commit, instead of building ours.
        #[arg(long, value_name = "FILE")]
        program: Option<PathBuf>,
    },
}

/// Measures it.
///
/// # Errors
/// When something cannot be built, installed or run.
pub(crate) fn run(bench: &Bench) -> anyhow::Result<ExitCode> {
    match bench {
        Bench::Forest { data, rounds } => forest::run(data.as_deref(), *rounds)?,
        Bench::MlService { .. } if cfg!(debug_assertions) => return again_in_release(),
        Bench::MlService { seconds, rounds, program } => ml_service::run(*seconds, *rounds, program.as_deref())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Does what this program was told by one that is built with optimisations: who asks takes its share of the cores, too.
fn again_in_release() -> anyhow::Result<ExitCode> {
    if !step::run("this program, optimised", &mut step::cargo(&BUILD))? {
        bail!("this program cannot be built with optimisations");
    }
    let mut again = Command::new(step::target()?.join("release/xtask"));
    let succeeded = step::run("measuring", again.args(std::env::args_os().skip(1)))?;
    Ok(if succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
