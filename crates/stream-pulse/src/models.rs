//! `models`: the stored versions of a use case's model, and which of them is in force.

use std::path::Path;

use pulse_features::UseCaseDir;
use pulse_ml_service::{Registry, Version};
use pulse_runtime::SettingsSources;
use serde_json::json;

use crate::cli::{ModelsArgs, ModelsCommand};
use crate::summary::thousands;

/// Lists versions, puts one in force, or goes back to the one before.
///
/// # Errors
/// When there is no such version, or it does not fit the use case.
#[expect(clippy::print_stdout, reason = "the answer of this command")]
pub fn run(args: ModelsArgs) -> anyhow::Result<()> {
    let ModelsArgs { command, usecases: folder } = args;
    let registry = |name: &str| anyhow::Ok(Registry::new(&use_case_dir(folder.as_deref(), name)?)?);
    match command {
        ModelsCommand::List { name, json: as_json } => {
            let versions = registry(&name)?.list()?;
            if as_json {
                println!("{}", json!({"use_case": name, "models": versions}));
            } else {
                print!("{}", text(&name, &versions));
            }
        }
        ModelsCommand::Activate { name, version } => {
            let model = registry(&name)?.activate(&version, None)?;
            println!("{name}: {} is in force", model.version());
        }
        ModelsCommand::Candidate { name, version } => match registry(&name)?.set_candidate(version.as_deref(), None)? {
            Some(model) => println!("{name}: {} scores beside the model in force", model.version()),
            None => println!("{name}: nothing scores beside the model in force"),
        },
        ModelsCommand::Remove { name, version } => {
            registry(&name)?.remove(&version)?;
            println!("{name}: {version} is removed");
        }
        ModelsCommand::Rollback { name } => {
            let model = registry(&name)?.roll_back(None)?;
            println!("{name}: {} is in force again", model.version());
        }
    }
    Ok(())
}

/// The use case `name`: in the folder of use cases that was told, or else in the one that is set.
pub(crate) fn use_case_dir(told: Option<&Path>, name: &str) -> anyhow::Result<UseCaseDir> {
    let settings = SettingsSources::from_env().load()?;
    let usecases = told.unwrap_or_else(|| settings.usecases());
    Ok(UseCaseDir::load(usecases, name)?.with_models_in(settings.models()))
}

fn text(name: &str, versions: &[Version]) -> String {
    if versions.is_empty() {
        return format!(
            "{name} has no stored model: it is trained from the sample at every start; see `stream-pulse train`\n"
        );
    }
    let mut text = format!("  {:<16}  {:<20}  {:>10}  {:>9}  source\n", "version", "trained", "rows", "threshold");
    for Version { active, candidate, metadata } in versions {
        let (info, provenance) = (&metadata.model.info, &metadata.provenance);
        let trained_at: String = provenance.trained_at.chars().take(19).collect();
        text.push_str(&format!(
            "{} {:<16}  {:<20}  {:>10}  {:>9.4}  {}\n",
            match (active, candidate) {
                (true, _) => '*',
                (_, true) => '?',
                _ => ' ',
            },
            info.version,
            trained_at,
            thousands(info.trained_rows as u64),
            info.threshold,
            provenance.source,
        ));
    }
    text
}
