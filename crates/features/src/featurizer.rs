//! Decodes and validates events, and derives columns from them.

mod check;

use std::borrow::Cow;
use std::sync::Arc;

use pulse_core::TimestampMs;
use pulse_core::use_case::{Entity, Feature, FeatureType, PayloadLimits, UseCase};

use crate::column::Column;
use crate::decode::{FieldTree, PathClash, Slot, Slots, quote_at};
use crate::derive::{Derivation, Deriver};
use crate::error::UseCaseError;
use crate::fault::Fault;
use crate::rule::Rounded;
use crate::use_case_dir::{Compiled, UseCaseDir};

pub use check::check_entity;

/// What an event must have besides its required features.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// The entity and the time too: it is an event of a stream.
    Event,
    /// Nothing: it is to be scored or trained on. Entity and time may be missing, but must not be wrong.
    Features,
}

/// What an event says about itself, besides its numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded<'p> {
    /// The entity; none where it is missing, or the use case takes it from the record's key.
    pub entity: Option<Cow<'p, str>>,
    /// The event's time; none where it is missing, or the use case takes it from the record.
    pub event_time: Option<TimestampMs>,
}

/// Turns events into rows of numbers. Each thread takes its own clone.
#[derive(Debug, Clone)]
pub struct Featurizer {
    shared: Arc<Shared>,
    slots: Slots,
    deriver: Option<Deriver>,
    stack: Vec<Rounded>,
}

/// What does not change from event to event.
#[derive(Debug)]
struct Shared {
    limits: PayloadLimits,
    tree: FieldTree,
    features: Vec<Feature>,
    compiled: Arc<Compiled>,
    /// The slot of each feature.
    places: Vec<usize>,
    entity: Option<usize>,
    time: Option<usize>,
    max_ahead_ms: i64,
    columns: Vec<Column>,
}

impl Featurizer {
    /// The featurizer of a use case.
    ///
    /// # Errors
    /// None today: [`UseCaseDir::load`] has found every fault already.
    pub fn new(dir: &UseCaseDir) -> Result<Self, UseCaseError> {
        Ok(Self::build(&dir.use_case, dir.compiled()))
    }

    fn build(use_case: &UseCase, compiled: &Arc<Compiled>) -> Self {
        let mut tree = FieldTree::default();
        // Loading has refused fields that lie within each other, so no place is left out.
        let mut place = |name: &str| tree.add(name).ok();
        let places = use_case.features.iter().filter_map(|feature| place(&feature.name)).collect();
        let entity = match &use_case.entity {
            Entity::Key => None,
            Entity::Field(field) => place(field),
        };
        let time = use_case.timestamp.field.as_deref().and_then(place);
        let derived = compiled.derivation.as_deref().map_or(&[][..], Derivation::columns);
        let shared = Shared {
            limits: use_case.payload,
            tree,
            features: use_case.features.clone(),
            compiled: Arc::clone(compiled),
            places,
            entity,
            time,
            max_ahead_ms: use_case.timestamp.max_ahead_ms,
            columns: columns(&use_case.features, derived),
        };
        let deriver = compiled.derivation.clone().map(Deriver::new);
        Self { shared: Arc::new(shared), slots: Slots::default(), deriver, stack: Vec::new() }
    }

    /// The columns of every row: the numeric features in the order of the configuration, then the derived ones in the
    /// order of the program.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.shared.columns
    }

    /// The index of the column `name`.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<usize> {
        self.shared.columns.iter().position(|column| column.name == name)
    }

    /// Clears `row` and fills it with one number per column; a missing one is `NaN`.
    ///
    /// # Errors
    /// All faults of the event at once; `row` is then of no use.
    pub fn decode<'p>(&mut self, payload: &'p [u8], need: Need, row: &mut Vec<f64>) -> Result<Decoded<'p>, Vec<Fault>> {
        row.clear();
        let Self { shared, slots, deriver, stack } = self;
        let text = slots.read(&shared.tree, payload, shared.limits).map_err(|fault| vec![fault])?;
        let mut faults = Vec::new();
        for ((feature, pattern), &place) in shared.features.iter().zip(&shared.compiled.patterns).zip(&shared.places) {
            let slot = slots.get(place);
            let number = match slot {
                Slot::Text(at) if feature.kind == FeatureType::String => {
                    check::text(feature, pattern.as_ref(), slots.text(at, text)).map(|()| f64::NAN)
                }
                _ => check::number(feature, slot),
            };
            match number {
                Ok(number) if feature.kind.is_numeric() => row.push(number),
                Ok(_) => {}
                Err(message) => faults.push(shared.fault(place, text, message)),
            }
        }
        let mut role = |place: Option<usize>, read: &mut dyn FnMut(Slot) -> Result<(), String>| {
            let Some(place) = place else { return };
            let result = match slots.get(place) {
                Slot::Missing if need == Need::Features => Ok(()),
                slot => read(slot),
            };
            if let Err(message) = result {
                faults.push(shared.fault(place, text, message));
            }
        };
        let (mut entity, mut event_time) = (None, None);
        let path = shared.entity.map_or("", |place| shared.tree.path(place));
        role(shared.entity, &mut |slot| check::entity(slot, slots, text, path).map(|found| entity = Some(found)));
        role(shared.time, &mut |slot| check::time(slot, slots, text).map(|found| event_time = Some(found)));
        if faults.is_empty()
            && let Some(deriver) = deriver
            && let Err(fault) = deriver.derive(slots, text, &shared.places, row)
        {
            faults.push(fault);
        }
        if faults.is_empty() {
            let broken = shared.compiled.rules.iter().enumerate().filter(|(_, rule)| rule.is_broken(row, stack));
            faults.extend(broken.map(|(index, rule)| rule.fault(index, row, &shared.columns)));
        }
        if faults.is_empty() { Ok(Decoded { entity, event_time }) } else { Err(faults) }
    }

    /// The fault of an event's time beside that of its record: one bad clock must not move time, and seconds where
    /// milliseconds are meant would put every event into January 1970.
    #[must_use]
    pub fn check_time(&self, event_time: TimestampMs, record_time: TimestampMs) -> Option<Fault> {
        let limit = self.shared.max_ahead_ms;
        let ahead = event_time.saturating_sub(record_time);
        let message = if ahead > limit {
            format!("is {ahead} ms ahead of its record: set the sender's clock; {limit} ms are allowed")
        } else if check::is_in_seconds(event_time, record_time) {
            "is in seconds: send milliseconds since 1970, or RFC 3339 text".to_owned()
        } else {
            return None;
        };
        let field = self.shared.time.map_or("", |place| self.shared.tree.path(place));
        Some(Fault::field(field, event_time.to_string(), message))
    }
}

impl Shared {
    fn fault(&self, place: usize, payload: &str, message: String) -> Fault {
        let path = self.tree.path(place);
        Fault::field(path, quote_at(payload, path), message)
    }
}

/// The columns of a use case with these features, and with those that its program derives.
pub(crate) fn columns(features: &[Feature], derived: &[Column]) -> Vec<Column> {
    let raw = features.iter().filter(|feature| feature.kind.is_numeric()).map(|feature| Column {
        name: feature.name.clone(),
        unit: feature.unit.clone(),
        description: feature.description.clone(),
        derived: false,
    });
    raw.chain(derived.iter().cloned()).collect()
}

/// The fields of `use_case` that cannot stand beside each other.
pub(crate) fn path_clashes(use_case: &UseCase) -> Vec<(String, PathClash)> {
    let mut tree = FieldTree::default();
    let named = use_case.features.iter().enumerate().map(|(i, f)| (format!("features[{i}]"), Some(f.name.as_str())));
    let entity = match &use_case.entity {
        Entity::Key => None,
        Entity::Field(field) => Some(field.as_str()),
    };
    let roles = [("entity.field", entity), ("timestamp.field", use_case.timestamp.field.as_deref())];
    named
        .chain(roles.map(|(path, field)| (path.to_owned(), field)))
        .filter_map(|(path, field)| Some((path, tree.add(field?).err()?)))
        .collect()
}

#[cfg(test)]
mod tests;
