//! What cargo knows of the workspace: which features there are, and which tests need one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use crate::step;

/// The feature of tests in a real browser.
pub(crate) const BROWSER_TESTS: &str = "browser-tests";
/// The feature of tests on real servers.
pub(crate) const SERVER_TESTS: &str = "server-tests";
/// Features that need more than Rust and a C compiler to be built, and have no code of their own.
const TLS: [&str; 2] = ["tls", "postgres-tls"];

/// A package of the workspace.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    name: String,
    features: BTreeMap<String, Vec<String>>,
    targets: Vec<Target>,
}

#[derive(Debug, Deserialize)]
struct Target {
    src_path: PathBuf,
    #[serde(rename = "required-features", default)]
    required_features: Vec<String>,
}

/// All packages of the workspace.
///
/// # Errors
/// When cargo cannot say.
pub(crate) fn packages() -> anyhow::Result<Vec<Package>> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }
    let output =
        step::cargo(&["metadata", "--no-deps", "--format-version", "1"]).output().context("cannot start cargo")?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Metadata = serde_json::from_slice(&output.stdout).context("cannot read what cargo metadata says")?;
    Ok(metadata.packages)
}

/// All features but those that `without` names, as cargo's `--features` takes them.
pub(crate) fn features(packages: &[Package], without: &[&str]) -> String {
    let is_wanted = |feature: &&String| !TLS.contains(&feature.as_str()) && !without.contains(&feature.as_str());
    let of_package = |package: &Package| {
        let name = package.name.clone();
        package.features.keys().filter(is_wanted).map(move |feature| format!("{name}/{feature}")).collect::<Vec<_>>()
    };
    packages.iter().flat_map(of_package).collect::<Vec<_>>().join(",")
}

/// How many tests need `feature`.
///
/// # Errors
/// When their source cannot be read.
pub(crate) fn count_tests(packages: &[Package], feature: &str) -> anyhow::Result<usize> {
    let contracts = read(&step::workspace().join("tools/testkit/src/contract.rs"))?;
    let mut count = 0;
    let targets = packages.iter().flat_map(|package| &package.targets);
    for target in targets.filter(|target| target.required_features.iter().any(|needed| needed == feature)) {
        for file in files(&target.src_path)? {
            count += tests_of(&read(&file)?, &contracts);
        }
    }
    Ok(count)
}

/// The files of a target. One that is called `main.rs` has its folder for itself.
fn files(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let Some(folder) = root.parent().filter(|_| root.ends_with("main.rs")) else { return Ok(vec![root.to_owned()]) };
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(paths.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect())
}

/// Tests in a source: those with an attribute, and those that the macros of `contracts` make.
fn tests_of(source: &str, contracts: &str) -> usize {
    let lines = || source.lines().map(str::trim);
    let marked = lines().filter(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test")).count();
    let made = lines().filter_map(|line| line.split_once("_contract!(")).map(|(name, _)| suites(name, contracts));
    marked + made.sum::<usize>()
}

/// Suites that the macro `<name>_contract!` runs: it names one a line, below the name of their module.
fn suites(name: &str, contracts: &str) -> usize {
    let begin = format!("macro_rules! {name}_contract ");
    let text = contracts.split_once(&begin).map_or("", |(_, rest)| rest.split("macro_rules!").next().unwrap_or(rest));
    let is_name = |line: &str| line.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    let names = text.lines().filter(|line| line.trim().strip_suffix(',').is_some_and(is_name)).count();
    names - text.matches("suites!(").count().min(names)
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_and_suites_are_counted() {
        let contracts = "macro_rules! log_contract {\n suites!(\n  log,\n  $make,\n  a_b,\n  c_2,\n );\n suites!(\n  committer,\n  $make,\n  d,\n );\n}\n\
                         macro_rules! other_contract {\n suites!(\n  other,\n  $make,\n  e,\n );\n}\n";
        let source =
            "#[tokio::test(flavor = \"multi_thread\")]\nasync fn a() {}\n  #[test]\nfn b() {}\nlog_contract!(x);\n";
        assert_eq!(tests_of(source, contracts), 5);
        assert_eq!(suites("other", contracts), 1);
        assert_eq!(suites("unknown", contracts), 0);
    }

    #[test]
    fn those_of_this_workspace_are_found() {
        let packages = packages().unwrap();
        assert!(super::features(&packages, &[]).contains("pulse-store/server-tests"));
        // More than there are attributes: most come of suites.
        assert!(count_tests(&packages, SERVER_TESTS).unwrap() > 30);
        assert!(count_tests(&packages, BROWSER_TESTS).unwrap() > 0);
    }

    #[test]
    fn features_are_named_with_their_package() {
        let features = ["tls", "service", "server-tests"].map(|name| (name.to_owned(), Vec::new()));
        let packages = [Package { name: "pulse-kafka".into(), features: features.into(), targets: Vec::new() }];
        assert_eq!(super::features(&packages, &[]), "pulse-kafka/server-tests,pulse-kafka/service");
        assert_eq!(super::features(&packages, &[SERVER_TESTS]), "pulse-kafka/service");
    }
}
