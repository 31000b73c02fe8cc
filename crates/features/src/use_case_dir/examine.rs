//! Loads a folder and finds every fault of its files.

use std::path::Path;
use std::sync::Arc;

use pulse_core::metric_names;
use pulse_core::nearest;
use pulse_core::use_case::raw::RawUseCase;
use pulse_core::use_case::{ConfigFault, Constant, Entity, Feature, UseCase};
use regex::Regex;

use super::yaml::Document;
use super::{CONFIG, Compiled, MODELS, SAMPLE, UseCaseDir, infer, list_use_cases, read, read_optional, version};
use crate::column::Column;
use crate::derive::{self, Derivation};
use crate::error::{LoadFault, SampleError, UseCaseError};
use crate::featurizer;
use crate::rule::Rule;
use crate::sample::{ColumnKind, column_kinds};

/// A use case as far as it can be read.
pub(crate) struct Examined {
    /// None where `config.yaml` is no configuration at all. It must not be run where there are faults.
    pub(crate) dir: Option<UseCaseDir>,
    /// All faults but those of the sample, in the order of files and keys.
    pub(crate) faults: Vec<LoadFault>,
    /// Columns of the sample from which types were taken.
    pub(crate) inferred: Vec<ColumnKind>,
    /// Why no types could come from the sample.
    pub(crate) sample_error: Option<SampleError>,
    /// Where the keys of `config.yaml` stand.
    pub(crate) places: Places,
}

/// Where the keys of `config.yaml` stand.
#[derive(Debug, Default)]
pub(crate) struct Places(Option<Document>);

impl Places {
    /// What is wrong at `path`, with its line.
    pub(crate) fn locate(&self, path: &str, message: String) -> LoadFault {
        let (path, line) = self.0.as_ref().map_or((path.to_owned(), None), |document| document.locate(path));
        LoadFault { file: CONFIG, line, path, message }
    }
}

pub(super) fn examine(usecases: &Path, name: &str) -> Result<Examined, UseCaseError> {
    let path = usecases.join(name);
    // A name with a separator would leave the folder of use cases.
    let is_name = Path::new(name).components().count() == 1 && !name.starts_with('.');
    if !is_name || !path.join(CONFIG).is_file() {
        let (name, folder) = (name.to_owned(), usecases.to_owned());
        return Err(UseCaseError::NotFound { name, folder, known: list_use_cases(usecases) });
    }
    let config = read(&path.join(CONFIG))?;
    let program = read_optional(&path.join(derive::FILE))?;
    let (document, raw, mut faults) = parse(&config);
    let (Some(document), Some(mut raw)) = (document, raw) else {
        let places = Places::default();
        return Ok(Examined { dir: None, faults, inferred: Vec::new(), sample_error: None, places });
    };
    let (inferred, sample_error) = infer_types(&mut raw, &path.join(SAMPLE));
    let (use_case, found) = UseCase::check(raw);
    let mut found: Vec<ConfigFault> = found.into_iter().filter(|fault| !document.is_consequence(&fault.path)).collect();
    found.extend(beyond_core(&use_case, name));
    let patterns = patterns(&use_case.features, &mut found);
    let compiled = program.as_deref().map(|source| compile_program(source, &use_case));
    let (derivation, derived, unusable) = match compiled {
        None => (None, Vec::new(), Vec::new()),
        Some(Ok(derivation)) => {
            let derived = derivation.columns().to_vec();
            (Some(Arc::new(derivation)), derived, Vec::new())
        }
        // What it would derive stands in for it, or all that uses it would seem to be at fault too.
        Some(Err(unusable)) => (None, Derivation::guess_columns(program.as_deref().unwrap_or_default()), unusable),
    };
    let columns = featurizer::columns(&use_case.features, &derived);
    let mut rules = Vec::new();
    // Of a feature that is not known by now, nothing can be said that uses it.
    if !document.lacks_items_of("features") {
        found.extend(unknown_columns(&use_case, &columns));
        found.extend(metric_clashes(&use_case, &columns));
        rules = compile_rules(&use_case, &columns, &mut found);
        faults.extend(unusable);
    }
    let places = Places(Some(document));
    faults.extend(found.into_iter().map(|fault| places.locate(&fault.path, fault.message)));
    faults.sort_by_key(|fault| (fault.file, fault.line));
    let config_version = version(&config, program.as_deref());
    let compiled = Arc::new(Compiled { derivation, rules, patterns });
    let models = path.join(MODELS);
    let dir = UseCaseDir { path, models, use_case, config_version, program, compiled };
    Ok(Examined { dir: Some(dir), faults, inferred, sample_error, places })
}

/// The tree of `config.yaml`, its shape, and what has another one.
fn parse(config: &str) -> (Option<Document>, Option<RawUseCase>, Vec<LoadFault>) {
    let located = |fault: super::yaml::YamlFault| LoadFault {
        file: CONFIG,
        line: fault.line,
        path: fault.path,
        message: fault.message,
    };
    match Document::parse(config) {
        Err(fault) => (None, None, vec![located(fault)]),
        Ok(mut document) => {
            let (raw, faults) = document.read();
            (Some(document), raw, faults.into_iter().map(located).collect())
        }
    }
}

/// Takes types that are left open from the sample; yields the columns.
fn infer_types(raw: &mut RawUseCase, sample: &Path) -> (Vec<ColumnKind>, Option<SampleError>) {
    if !raw.features.iter().any(infer::is_open) || !sample.is_file() {
        return (Vec::new(), None);
    }
    match column_kinds(sample) {
        Ok(kinds) => (infer::types(raw, &kinds), None),
        Err(error) => (Vec::new(), Some(error)),
    }
}

/// Faults that only show beside the folder and the form of events.
fn beyond_core(use_case: &UseCase, folder: &str) -> Vec<ConfigFault> {
    let mut faults = Vec::new();
    if use_case.name != folder && !use_case.name.is_empty() {
        let message = format!("{:?} must be the folder's name, {folder:?}", use_case.name);
        faults.push(ConfigFault { path: "name".to_owned(), message });
    }
    for (path, clash) in featurizer::path_clashes(use_case) {
        let (outer, inner) = (clash.outer, clash.inner);
        let message = format!("{inner:?} lies within {outer:?}: a field is either a value or an object");
        faults.push(ConfigFault { path, message });
    }
    faults
}

/// The compiled pattern of each feature, which its own values must match.
fn patterns(features: &[Feature], faults: &mut Vec<ConfigFault>) -> Vec<Option<Regex>> {
    let mut compile = |(i, feature): (usize, &Feature)| {
        let pattern = feature.text.pattern.as_deref()?;
        let compiled = Regex::new(pattern)
            .inspect_err(|error| {
                // The last line says what is wrong; those before it draw the pattern.
                let text = error.to_string();
                let why = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
                let message = format!("{pattern:?} is no regular expression: {why}");
                faults.push(ConfigFault { path: format!("features[{i}].pattern"), message });
            })
            .ok()?;
        for value in feature.allowed.iter().flatten() {
            if matches!(value, Constant::Text(text) if !compiled.is_match(text)) {
                let message = format!("{value} must match {pattern:?}, says its schema: mend the one or the other");
                faults.push(ConfigFault { path: format!("features[{i}]"), message });
            }
        }
        Some(compiled)
    };
    features.iter().enumerate().map(&mut compile).collect()
}

/// Detectors' features that are no columns.
fn unknown_columns(use_case: &UseCase, columns: &[Column]) -> Vec<ConfigFault> {
    let detectors = &use_case.detectors;
    let wanted = [
        ("isolation_forest", detectors.forest.as_ref().and_then(|forest| forest.features.as_ref())),
        ("rolling_zscore", detectors.rolling.as_ref().and_then(|rolling| rolling.features.as_ref())),
    ];
    let names = || columns.iter().map(|column| column.name.as_str());
    let mut faults = Vec::new();
    for (detector, features) in wanted {
        for (i, feature) in features.into_iter().flatten().enumerate() {
            if !names().any(|name| name == *feature) {
                let mend = nearest(feature, names()).map_or_else(
                    || format!("there are {}", names().collect::<Vec<_>>().join(", ")),
                    |near| format!("did you mean {near:?}?"),
                );
                let message = format!("{feature:?} is no numeric column: {mend}");
                faults.push(ConfigFault { path: format!("detectors.{detector}.features[{i}]"), message });
            }
        }
    }
    if columns.is_empty() && !use_case.features.is_empty() {
        let message = "none is numeric, and nothing is derived: a detector needs a number".to_owned();
        faults.push(ConfigFault { path: "features".to_owned(), message });
    }
    faults
}

/// Columns whose metrics would be mistaken for others.
fn metric_clashes(use_case: &UseCase, columns: &[Column]) -> Vec<ConfigFault> {
    let names = columns.iter().map(|column| column.name.as_str());
    let clashes = metric_names::clashes(&use_case.metrics_prefix, names);
    let place = |name: &str| use_case.features.iter().position(|feature| feature.name == name);
    let fault = |clash: metric_names::NameClash| ConfigFault {
        path: place(&clash.column).map_or_else(|| "features".to_owned(), |i| format!("features[{i}]")),
        message: clash.to_string(),
    };
    clashes.into_iter().map(fault).collect()
}

fn compile_program(source: &str, use_case: &UseCase) -> Result<Derivation, Vec<LoadFault>> {
    let entity = match &use_case.entity {
        Entity::Key => None,
        Entity::Field(field) => Some(field.as_str()),
    };
    let taken: Vec<&str> = entity.into_iter().chain(use_case.timestamp.field.as_deref()).collect();
    Derivation::compile(source, &use_case.features, &taken)
}

fn compile_rules(use_case: &UseCase, columns: &[Column], faults: &mut Vec<ConfigFault>) -> Vec<Rule> {
    let mut rules = Vec::with_capacity(use_case.rules.len());
    for (i, rule) in use_case.rules.iter().enumerate() {
        match Rule::compile(rule, columns) {
            Ok(rule) => rules.push(rule),
            Err(found) => faults.extend(found.into_iter().map(|fault| ConfigFault {
                path: format!("rules[{i}]"),
                message: format!("`{}`, character {}: {}", rule.text, fault.at, fault.message),
            })),
        }
    }
    rules
}
