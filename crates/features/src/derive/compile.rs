//! Compiles `features.vrl` and checks that it only does what a derivation may do.

use pulse_core::use_case::{Feature, FeatureType};
use vrl::compiler::state::ExternalEnv;
use vrl::compiler::{CompileConfig, TimeZone, compile_with_external};
use vrl::diagnostic::{Diagnostic, DiagnosticList};
use vrl::path::{OwnedSegment, OwnedTargetPath, OwnedValuePath, PathPrefix};
use vrl::value::Kind;
use vrl::value::kind::Collection;

use super::{Derivation, FILE, Input, docs, functions};
use crate::column::Column;
use crate::error::LoadFault;

/// VRL's code of a call to a function that it does not know.
const UNDEFINED_FUNCTION: usize = 105;

/// What timestamps without a zone are taken for.
pub(super) fn utc() -> TimeZone {
    TimeZone::parse("UTC").unwrap_or_default()
}

/// Compiles `source` against the declared `features`; `taken` are fields that it must not assign either.
pub(super) fn compile(source: &str, features: &[Feature], taken: &[&str]) -> Result<Derivation, Vec<LoadFault>> {
    let external = ExternalEnv::new_with_kind(kind_of(features), Kind::object(Collection::empty()));
    let result = compile_with_external(source, &functions::pure(), &external, CompileConfig::default())
        .map_err(|diagnostics| from_diagnostics(source, diagnostics))?;
    let program = result.program;
    let mut faults = Vec::new();
    let mut outputs = Vec::new();
    for path in &program.info().target_assignments {
        match output(path, features, taken) {
            Ok(name) if outputs.contains(&name) => {}
            Ok(name) => outputs.push(name),
            Err(message) => faults.push(fault(line_of_path(path, source), message)),
        }
    }
    let mut inputs: Vec<Input> = Vec::new();
    for path in &program.info().target_queries {
        match read_by(path, features, &outputs) {
            Ok(read) => {
                for feature in read {
                    if !inputs.iter().any(|input| input.feature == feature) {
                        let path = path_of(&features[feature].name);
                        inputs.push(Input { feature, kind: features[feature].kind, path });
                    }
                }
            }
            Err(message) => faults.push(fault(line_of_path(path, source), message)),
        }
    }
    if outputs.is_empty() && faults.is_empty() {
        faults.push(fault(None, "assigns no field: derive one, such as `.ratio = …`, or remove the file".to_owned()));
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let columns = outputs.iter().map(|name| column(name, source)).collect();
    let outputs = outputs.iter().map(|name| name.as_str().into()).collect();
    let reads_root = program.info().target_queries.iter().any(|path| path.path.is_root());
    Ok(Derivation { program, inputs, outputs, reads_root, columns })
}

/// What the compiler may assume of an event: it was validated before.
fn kind_of(features: &[Feature]) -> Kind {
    let mut root = Kind::object(Collection::empty());
    for feature in features {
        let kind = match feature.kind {
            FeatureType::Number => Kind::float(),
            FeatureType::Integer => Kind::integer(),
            FeatureType::Boolean => Kind::boolean(),
            FeatureType::String => Kind::bytes(),
        };
        let kind = if feature.required { kind } else { kind.or_undefined() };
        root.insert(&path_of(&feature.name).path, kind);
    }
    root
}

fn path_of(name: &str) -> OwnedTargetPath {
    let segments: Vec<OwnedSegment> = name.split('.').map(OwnedSegment::field).collect();
    OwnedTargetPath::event(OwnedValuePath { segments })
}

/// The root field that an assignment to `path` makes, or why it may not.
fn output(path: &OwnedTargetPath, features: &[Feature], taken: &[&str]) -> Result<String, String> {
    let (PathPrefix::Event, [OwnedSegment::Field(name)]) = (path.prefix, path.path.segments.as_slice()) else {
        return Err(format!("assigns `{path}`: assign a field of the root, such as `.speed`, or a variable"));
    };
    let is_root_of = |field: &str| field.split('.').next() == Some(name.as_str());
    if taken.iter().any(|field| is_root_of(field)) {
        return Err(format!(
            "assigns `.{name}`, which config.yaml takes the entity or the time from: choose another name"
        ));
    }
    if features.iter().any(|feature| is_root_of(&feature.name)) {
        return Err(format!("assigns `.{name}`, which config.yaml declares as a feature: choose another name"));
    }
    Ok(name.as_str().to_owned())
}

/// The features that a query of `path` reads, or why it may not.
fn read_by(path: &OwnedTargetPath, features: &[Feature], outputs: &[String]) -> Result<Vec<usize>, String> {
    if path.prefix == PathPrefix::Metadata {
        return Err(format!("reads `{path}`: events have no metadata"));
    }
    let mut fields = Vec::with_capacity(path.path.segments.len());
    for segment in &path.path.segments {
        if let OwnedSegment::Field(field) = segment {
            fields.push(field.as_str());
        }
    }
    if fields.first().is_some_and(|first| outputs.iter().any(|output| output == first)) {
        return Ok(Vec::new());
    }
    let wanted = fields.join(".");
    let touches = |name: &str| {
        wanted.is_empty()
            || name == wanted
            || name.strip_prefix(&wanted).is_some_and(|rest| rest.starts_with('.'))
            || wanted.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'))
    };
    let read: Vec<usize> = (0..features.len()).filter(|&i| touches(&features[i].name)).collect();
    if read.is_empty() {
        return Err(format!(
            "reads `{path}`, which config.yaml does not declare: declare it as a feature, or mend the name"
        ));
    }
    Ok(read)
}

pub(super) fn column(name: &str, source: &str) -> Column {
    let (unit, description) = docs::of(name, source);
    Column { name: name.to_owned(), unit, description, derived: true }
}

fn fault(line: Option<usize>, message: String) -> LoadFault {
    LoadFault { file: FILE, line, path: String::new(), message }
}

fn from_diagnostics(source: &str, diagnostics: DiagnosticList) -> Vec<LoadFault> {
    diagnostics
        .into_iter()
        .filter(Diagnostic::is_problem)
        .map(|diagnostic| from_diagnostic(source, &diagnostic))
        .collect()
}

fn from_diagnostic(source: &str, diagnostic: &Diagnostic) -> LoadFault {
    let label = diagnostic.labels.iter().find(|label| label.primary).or(diagnostic.labels.first());
    let start = label.map_or(0, |label| label.span.start().min(source.len()));
    let line = label.map(|_| source.as_bytes()[..start].iter().filter(|&&byte| byte == b'\n').count() + 1);
    if diagnostic.code == UNDEFINED_FUNCTION {
        let called = source.get(start..).unwrap_or_default();
        let name: String = called.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        if functions::is_impure(&name) {
            let why = "depends on more than the event (clock, chance, environment, time zone, files, network or log)";
            return fault(line, format!("`{name}` {why}, so a replay would differ: do without it"));
        }
    }
    let mut message = diagnostic.message.clone();
    for text in diagnostic.labels.iter().map(|label| label.message.as_str()).filter(|text| !text.is_empty()) {
        message.push_str("; ");
        message.push_str(text);
    }
    fault(line, message)
}

/// Line of the first occurrence of `path`, which VRL's program information does not keep.
fn line_of_path(path: &OwnedTargetPath, source: &str) -> Option<usize> {
    let text = path.to_string();
    let name = text.trim_start_matches('.');
    let ends = |rest: &str| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    let occurs = |line: &str| {
        let code = line.split('#').next().unwrap_or_default();
        code.match_indices(&text).any(|(at, found)| ends(&code[at + found.len()..]))
    };
    docs::line_of(name, source).or_else(|| source.lines().position(occurs).map(|at| at + 1))
}
