//! Types that the configuration leaves out, taken from the sample.

use pulse_core::use_case::raw::{RawFeature, RawFullFeature, RawUseCase};

use crate::sample::{CellKind, ColumnKind};

/// Gives every feature whose type is left open that of its column, `kinds`. A feature without a column stays a number, and so
/// does one whose column has whole numbers only: the next event may well bring a fraction. Yields the columns whose types were taken.
pub(super) fn types(raw: &mut RawUseCase, kinds: &[ColumnKind]) -> Vec<ColumnKind> {
    let mut inferred = Vec::new();
    for feature in raw.features.iter_mut().filter(|feature| is_open(feature)) {
        let name = match feature {
            RawFeature::Name(name) => name,
            RawFeature::Full(full) => &full.name,
        };
        let Some(column) = kinds.iter().find(|column| column.name == *name) else { continue };
        inferred.push(column.clone());
        let kind = match column.kind {
            CellKind::Number => "number",
            CellKind::Boolean => "boolean",
            CellKind::Text => "string",
        };
        match feature {
            RawFeature::Full(full) => full.kind = Some(kind.to_owned()),
            RawFeature::Name(name) => {
                let (name, kind) = (std::mem::take(name), Some(kind.to_owned()));
                *feature = RawFeature::Full(Box::new(RawFullFeature { name, kind, ..RawFullFeature::default() }));
            }
        }
    }
    inferred
}

/// Whether the configuration leaves the type of `feature` open.
pub(super) fn is_open(feature: &RawFeature) -> bool {
    match feature {
        RawFeature::Name(_) => true,
        RawFeature::Full(full) => full.stated_type().is_none(),
    }
}
