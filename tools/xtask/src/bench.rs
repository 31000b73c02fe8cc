//! `cargo xtask bench …`: our figures beside those of others, in one run.

mod forest;
mod peers;

use std::path::PathBuf;

use clap::Subcommand;

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
}

/// Measures it.
///
/// # Errors
/// When something cannot be built, installed or run.
pub(crate) fn run(bench: &Bench) -> anyhow::Result<std::process::ExitCode> {
    match bench {
        Bench::Forest { data, rounds } => forest::run(data.as_deref(), *rounds)?,
    }
    Ok(std::process::ExitCode::SUCCESS)
}
