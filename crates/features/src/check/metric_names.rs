//! Columns that would share a metric, once their names are those of Prometheus.

use pulse_core::metric_names;

use crate::error::LoadFault;
use crate::featurizer;
use crate::use_case_dir::{CONFIG, UseCaseDir};

/// Columns whose metrics would have the name of another one.
pub(super) fn clashes(dir: &UseCaseDir) -> Vec<LoadFault> {
    let derived = dir.compiled().derivation.as_deref().map_or(&[][..], |derivation| derivation.columns());
    let columns = featurizer::columns(&dir.use_case.features, derived);
    let names = columns.iter().map(|column| column.name.as_str());
    let clashes = metric_names::clashes(&dir.use_case.metrics_prefix, names);
    let fault = |clash: metric_names::NameClash| LoadFault {
        file: CONFIG,
        line: None,
        path: "features".to_owned(),
        message: clash.to_string(),
    };
    clashes.into_iter().map(fault).collect()
}
