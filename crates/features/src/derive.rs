//! Derived columns: the program `features.vrl`, in Vector Remap Language, run on every event.
//!
//! The program reads declared features (`.trip_distance`) and assigns new fields at the root (`.speed = …`); each
//! of those is a column. The comment right above an assignment says what the column means, and may begin with its unit in
//! brackets: `# [mph] mean speed of the trip`. A result that is no finite number or boolean counts as missing.

mod compile;
mod docs;
mod functions;
mod target;

use std::sync::Arc;

use pulse_core::use_case::{Feature, FeatureType};
use vrl::compiler::runtime::{Runtime, Terminate};
use vrl::compiler::{ExpressionError, Program, TimeZone};
use vrl::path::OwnedTargetPath;
use vrl::prelude::NotNan;
use vrl::value::{KeyString, Value};

use self::target::EventTarget;
use crate::column::Column;
use crate::decode::{Slot, Slots};
use crate::error::LoadFault;
use crate::fault::Fault;

/// Name of the file, as faults give it.
pub(crate) const FILE: &str = "features.vrl";

/// The compiled program and what it reads and writes.
#[derive(Debug)]
pub(crate) struct Derivation {
    program: Program,
    inputs: Vec<Input>,
    outputs: Vec<KeyString>,
    /// Whether it reads the whole root, `.`.
    reads_root: bool,
    columns: Vec<Column>,
}

/// A feature that the program reads.
#[derive(Debug)]
struct Input {
    /// Index of the feature in the use case.
    feature: usize,
    kind: FeatureType,
    path: OwnedTargetPath,
}

impl Derivation {
    /// Compiles `source` against the declared `features`; `taken` are fields that it must not assign either.
    pub(crate) fn compile(source: &str, features: &[Feature], taken: &[&str]) -> Result<Self, Vec<LoadFault>> {
        compile::compile(source, features, taken)
    }

    /// The columns that `source` seems to add, where it cannot be compiled.
    pub(crate) fn guess_columns(source: &str) -> Vec<Column> {
        docs::assigned(source).into_iter().map(|name| compile::column(name, source)).collect()
    }

    /// The columns that it adds, in the order of their first assignment.
    pub(crate) fn columns(&self) -> &[Column] {
        &self.columns
    }
}

/// Runs a derivation, event by event; one for each thread.
#[derive(Debug)]
pub(crate) struct Deriver {
    shared: Arc<Derivation>,
    target: EventTarget,
    runtime: Runtime,
    timezone: TimeZone,
}

impl Deriver {
    pub(crate) fn new(shared: Arc<Derivation>) -> Self {
        let timezone = compile::utc();
        let target = EventTarget::new(&shared.outputs, shared.reads_root);
        Self { shared, target, runtime: Runtime::default(), timezone }
    }

    /// Appends the derived columns of an event to `row`. `places` says in which slot each feature stands.
    pub(crate) fn derive(
        &mut self,
        slots: &Slots,
        payload: &str,
        places: &[usize],
        row: &mut Vec<f64>,
    ) -> Result<(), Fault> {
        let Self { shared, target, runtime, timezone } = self;
        runtime.clear();
        target.begin(shared.outputs.len());
        for Input { feature, kind, path } in &shared.inputs {
            let slot = places.get(*feature).map_or(Slot::Missing, |&place| slots.get(place));
            if let Some(value) = to_value(slot, *kind, slots, payload) {
                target.put(path, value);
            }
        }
        let result = runtime.resolve(target, &shared.program, timezone);
        if let Err(terminate) = result {
            return Err(Fault::field(FILE, String::new(), failure(&terminate)));
        }
        row.extend((0..shared.outputs.len()).map(|index| target.output(index).map_or(f64::NAN, to_number)));
        Ok(())
    }
}

/// The program's state is of no use to another thread, so the clone gets a fresh one.
impl Clone for Deriver {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.shared))
    }
}

/// The value as a program sees it.
fn to_value(slot: Slot, kind: FeatureType, slots: &Slots, payload: &str) -> Option<Value> {
    /// What 64 bits with a sign no longer hold.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    match slot {
        Slot::Missing | Slot::Other(_) | Slot::Outside(_) => None,
        #[expect(clippy::cast_possible_truncation, reason = "validated to be whole, and less than 2^63")]
        Slot::Float(value) if kind == FeatureType::Integer && value < LIMIT => Some(Value::Integer(value as i64)),
        Slot::Float(value) => NotNan::new(value).ok().map(Value::Float),
        #[expect(clippy::cast_precision_loss, reason = "the program's integers have a sign, so it becomes a float")]
        Slot::Unsigned(value) => NotNan::new(value as f64).ok().map(Value::Float),
        Slot::Integer(value) if kind == FeatureType::Integer => Some(Value::Integer(value)),
        #[expect(clippy::cast_precision_loss, reason = "declared as a number, so 64-bit floating point it is")]
        Slot::Integer(value) => NotNan::new(value as f64).ok().map(Value::Float),
        Slot::Boolean(value) => Some(Value::Boolean(value)),
        Slot::Text(place) => Some(Value::from(slots.text(place, payload))),
    }
}

fn to_number(value: &Value) -> f64 {
    match value {
        Value::Float(value) if value.is_finite() => value.into_inner(),
        #[expect(clippy::cast_precision_loss, reason = "columns are 64-bit floating point")]
        Value::Integer(value) => *value as f64,
        Value::Boolean(value) => f64::from(u8::from(*value)),
        _ => f64::NAN,
    }
}

fn failure(terminate: &Terminate) -> String {
    match terminate {
        Terminate::Abort(ExpressionError::Abort { message: Some(message), .. }) => format!("refused it: {message}"),
        Terminate::Abort(ExpressionError::Abort { .. }) => "refused it by `abort`".to_owned(),
        other => format!("failed on it: {other}: handle the error with `??` or make it impossible"),
    }
}

#[cfg(test)]
mod tests;
