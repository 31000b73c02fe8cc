//! Types that the configuration leaves out, taken from the sample.

use std::path::Path;

use pulse_core::use_case::raw::{RawFeature, RawFullFeature, RawUseCase};

use crate::error::SampleError;
use crate::sample::{CellKind, column_kinds};

/// Gives every feature without a type that of its column in the sample at `path`. Without a sample, or without that
/// column, it stays a number.
pub(super) fn types(raw: &mut RawUseCase, path: &Path) -> Result<(), SampleError> {
    let is_untyped = |feature: &RawFeature| match feature {
        RawFeature::Name(_) => true,
        RawFeature::Full(full) => full.kind.is_none(),
    };
    if !raw.features.iter().any(is_untyped) || !path.is_file() {
        return Ok(());
    }
    let kinds = column_kinds(path)?;
    for feature in raw.features.iter_mut().filter(|feature| is_untyped(feature)) {
        let name = match feature {
            RawFeature::Name(name) => name,
            RawFeature::Full(full) => &full.name,
        };
        let kind = match kinds.iter().find(|(column, _)| column == name) {
            Some((_, CellKind::Boolean)) => "boolean",
            Some((_, CellKind::Text)) => "string",
            Some((_, CellKind::Number)) | None => continue,
        };
        match feature {
            RawFeature::Full(full) => full.kind = Some(kind.to_owned()),
            RawFeature::Name(name) => *feature = RawFeature::Full(bare(std::mem::take(name), kind)),
        }
    }
    Ok(())
}

fn bare(name: String, kind: &str) -> RawFullFeature {
    RawFullFeature {
        name,
        kind: Some(kind.to_owned()),
        unit: None,
        description: String::new(),
        required: None,
        minimum: None,
        exclusive_minimum: None,
        maximum: None,
        exclusive_maximum: None,
    }
}
