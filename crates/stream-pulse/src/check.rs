//! `check`: every fault of use cases' folders at once, or what was made of them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use pulse_features::{Fault, LoadFault, Report, UseCaseDir, list_use_cases};
use pulse_runtime::SettingsSources;
use pulse_simulator::{Refused, Trial};
use serde_json::json;

use crate::cli::CheckArgs;

/// Checks the use cases that `args` name; yields whether all are without faults.
///
/// # Errors
/// When the settings are wrong, or there is no use case at all.
#[expect(clippy::print_stdout, reason = "the report is the answer of this command")]
pub fn run(args: CheckArgs) -> anyhow::Result<bool> {
    let CheckArgs { names, usecases, json } = args;
    let settings = SettingsSources::from_env().load();
    // Settings at fault are for those to tell who need them.
    let rate = settings.as_ref().ok().map(|settings| settings.simulator().anomaly_rate);
    let folder = match usecases {
        Some(folder) => folder,
        None => settings?.usecases().to_owned(),
    };
    let names = if names.is_empty() { list_use_cases(&folder) } else { names };
    anyhow::ensure!(
        !names.is_empty(),
        "there is no use case in {}: a use case is a folder with a config.yaml; name another folder with --usecases",
        folder.display()
    );
    let reports: Vec<Report> = names.iter().map(|name| check(&folder, name, rate)).collect();
    let faults: usize = reports.iter().map(|report| report.faults.len()).sum();
    if json {
        println!("{}", json!({"faults": faults, "use_cases": reports}));
    } else {
        print!("{}", text(&folder, &reports));
    }
    Ok(faults == 0)
}

/// Checks one use case; `rate` is the share of simulated events that are to be anomalies.
fn check(folder: &Path, name: &str, rate: Option<f64>) -> Report {
    let mut report = pulse_features::check(folder, name);
    if let Some(dir) = &report.dir {
        let (faults, notes) = simulated(&report, dir, rate);
        report.faults.extend(faults);
        report.notes.extend(notes);
    }
    report
}

/// Faults of simulated events: those that the use case itself would refuse. Of events that are made up for want of a sample
/// and a profile they are notes: somebody else may well produce better ones.
fn simulated(report: &Report, dir: &UseCaseDir, rate: Option<f64>) -> (Vec<LoadFault>, Vec<LoadFault>) {
    /// Any seed will do.
    const SEED: u64 = 42;
    let Trial { refused, highest_rate } = match pulse_simulator::try_out(dir, SEED) {
        Ok(trial) => trial,
        Err(error) => {
            return (vec![report.locate("simulator", format!("{:#}", anyhow::Error::new(error)))], Vec::new());
        }
    };
    let is_same = |a: &Fault, b: &Fault| (&a.field, &a.message) == (&b.field, &b.message);
    let of_ordinary = |fault| refused.iter().any(|other| other.label.is_none() && is_same(&other.fault, fault));
    // What is wrong with every event is no matter of anomalies.
    let telling = refused.iter().filter(|refused| refused.label.is_none() || !of_ordinary(&refused.fault));
    let has_sample = report.outline.as_ref().is_some_and(|outline| outline.sample.is_some());
    if dir.use_case.simulator.profile_is_default && !has_sample {
        let note = |refused: &Refused| {
            let message = format!(
                "simulated events would be dead letters, as they are made up without a sample or a profile: {}: \
                 describe `simulator.profile` or add sample.csv, unless you produce the events yourself",
                refused.fault
            );
            report.locate(&place(dir, refused), message)
        };
        return (Vec::new(), telling.map(note).collect());
    }
    let fault = |refused: &Refused| {
        let (what, mend) = match &refused.label {
            Some(label) => (format!("an anomaly {label:?}"), "change what it does, or widen the schema"),
            None => ("an ordinary event".to_owned(), "change how it is drawn, or widen the schema"),
        };
        let message = format!("makes {what} that would be a dead letter: {}: {mend}", refused.fault);
        report.locate(&place(dir, refused), message)
    };
    let mut faults: Vec<LoadFault> = telling.map(fault).collect();
    if let Some(rate) = rate.filter(|rate| *rate > highest_rate) {
        let is_chosen = !dir.use_case.simulator.eligible.is_empty();
        let path = if is_chosen { "simulator.eligible" } else { "simulator.anomalies" };
        let message = format!(
            "allows {highest_rate:.4} of the rows to be changed, and {rate} of all events are to be anomalies, so that the \
             simulator would not start: widen it, or lower the setting simulator.anomaly_rate"
        );
        faults.push(report.locate(path, message));
    }
    (faults, Vec::new())
}

/// The key of `config.yaml` that makes a refused event what it is.
fn place(dir: &UseCaseDir, refused: &Refused) -> String {
    let (use_case, field) = (&dir.use_case, refused.fault.field.as_str());
    let simulator = &use_case.simulator;
    let kind = simulator.anomalies.iter().position(|kind| Some(&kind.name) == refused.label.as_ref());
    if let Some(kind) = kind.filter(|_| !simulator.anomalies_are_default) {
        return format!("simulator.anomalies[{kind}]");
    }
    if !simulator.profile_is_default {
        let is_drawn = simulator.profile.features.iter().any(|feature| feature.name == field);
        return if is_drawn { format!("simulator.profile.features.{field}") } else { "simulator.profile".to_owned() };
    }
    match use_case.features.iter().position(|feature| feature.name == field) {
        Some(index) => format!("features[{index}]"),
        None if field.starts_with("rules[") => field.to_owned(),
        None => "simulator".to_owned(),
    }
}

fn text(folder: &Path, reports: &[Report]) -> String {
    let mut text = String::new();
    for Report { name, faults, notes, outline, .. } in reports {
        // Writing to a string cannot fail.
        let written = match (faults.len(), outline) {
            (0, Some(outline)) => write!(text, "{name}: no faults\n{outline}"),
            (count, _) => writeln!(text, "{name}: {count} fault{}", if count == 1 { "" } else { "s" }),
        };
        written.unwrap_or_default();
        let place: PathBuf = folder.join(name);
        for fault in faults {
            writeln!(text, "  {}/{fault}", place.display()).unwrap_or_default();
        }
        for note in notes {
            writeln!(text, "  {:<10} {}/{note}", "note", place.display()).unwrap_or_default();
        }
        if faults.is_empty() {
            text.push('\n');
        }
    }
    text
}
