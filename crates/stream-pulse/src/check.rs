//! `check`: every fault of use cases' folders at once, or what was made of them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use pulse_features::{LoadFault, Report, UseCaseDir, list_use_cases};
use pulse_runtime::SettingsSources;
use serde_json::json;

use crate::cli::CheckArgs;

/// Checks the use cases that `args` name; yields whether all are without faults.
///
/// # Errors
/// When the settings are wrong, or there is no use case at all.
#[expect(clippy::print_stdout, reason = "the report is the answer of this command")]
pub fn run(args: CheckArgs) -> anyhow::Result<bool> {
    let CheckArgs { names, usecases, json } = args;
    let folder = match usecases {
        Some(folder) => folder,
        None => SettingsSources::from_env().load()?.usecases().to_owned(),
    };
    let names = if names.is_empty() { list_use_cases(&folder) } else { names };
    anyhow::ensure!(
        !names.is_empty(),
        "there is no use case in {}: a use case is a folder with a config.yaml; name another folder with --usecases",
        folder.display()
    );
    let reports: Vec<Report> = names.iter().map(|name| check(&folder, name)).collect();
    let faults: usize = reports.iter().map(|report| report.faults.len()).sum();
    if json {
        println!("{}", json!({"faults": faults, "use_cases": reports}));
    } else {
        print!("{}", text(&folder, &reports));
    }
    Ok(faults == 0)
}

fn check(folder: &Path, name: &str) -> Report {
    let mut report = pulse_features::check(folder, name);
    if let Some(dir) = &report.dir {
        report.faults.extend(simulated(dir));
    }
    report
}

/// The faults of simulated events: those that the use case itself would refuse.
fn simulated(dir: &UseCaseDir) -> Vec<LoadFault> {
    /// Any seed will do.
    const SEED: u64 = 42;
    let fault = |path: String, message: String| LoadFault { file: "config.yaml", line: None, path, message };
    let refused = match pulse_simulator::refused(dir, SEED) {
        Ok(refused) => refused,
        Err(error) => return vec![fault("simulator".to_owned(), format!("{:#}", anyhow::Error::new(error)))],
    };
    let describe = |refused: pulse_simulator::Refused| {
        let (path, what) = match &refused.label {
            Some(label) => ("simulator.anomalies".to_owned(), format!("an anomaly {label:?}")),
            None => ("simulator".to_owned(), "an ordinary event".to_owned()),
        };
        fault(path, format!("makes {what} that would be a dead letter: {}", refused.fault))
    };
    refused.into_iter().map(describe).collect()
}

fn text(folder: &Path, reports: &[Report]) -> String {
    let mut text = String::new();
    for Report { name, faults, outline, .. } in reports {
        // Writing to a string cannot fail.
        let written = match (faults.len(), outline) {
            (0, Some(outline)) => writeln!(text, "{name}: no faults\n{outline}"),
            (count, _) => writeln!(text, "{name}: {count} fault{}", if count == 1 { "" } else { "s" }),
        };
        written.unwrap_or_default();
        let place: PathBuf = folder.join(name);
        for fault in faults {
            writeln!(text, "  {}/{fault}", place.display()).unwrap_or_default();
        }
    }
    text
}
