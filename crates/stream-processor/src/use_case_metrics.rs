//! The use case's own metrics, under its prefix: its events, how well they are judged, and how its values are spread.
//!
//! Counted once a batch, when that is committed, and put together when somebody asks. `docs/specs/telemetry.md` says what they mean.

mod families;
mod recent;
mod tally;

use std::sync::{Arc, Mutex, PoisonError};

use prometheus::Registry;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use pulse_core::{TimestampMs, UseCase};
use pulse_pipeline::{ColumnCounts, Outcome, Plan};

use families::Families;
use recent::Recent;
use tally::Tallies;

/// The use case's own metrics. Clones share everything.
#[derive(Debug, Clone)]
pub(crate) struct UseCaseMetrics(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    families: Families,
    totals: Mutex<Totals>,
}

/// What was counted so far.
#[derive(Debug)]
struct Totals {
    events: u64,
    anomalies: [u64; 3],
    recent: Recent,
    tallies: Tallies,
    columns: ColumnCounts,
}

impl UseCaseMetrics {
    /// Registers the metrics of `use_case`; those of its columns where `plan` counts them.
    ///
    /// # Errors
    /// When one is registered already. That no two have the same name is checked where the use case is loaded.
    pub(crate) fn new(registry: &Registry, use_case: &UseCase, plan: &Plan) -> prometheus::Result<Self> {
        let totals = Totals {
            events: 0,
            anomalies: [0; 3],
            recent: Recent::default(),
            tallies: Tallies::new(plan.labels()),
            columns: plan.buckets().map_or_else(ColumnCounts::default, ColumnCounts::new),
        };
        let families = Families::new(use_case, plan.buckets())?;
        let metrics = Self(Arc::new(Shared { families, totals: Mutex::new(totals) }));
        registry.register(Box::new(metrics.clone()))?;
        Ok(metrics)
    }

    /// Adds what was committed at `now`.
    pub(crate) fn count(&self, outcome: &Outcome, now: TimestampMs) {
        let Outcome { counts, judged, columns, .. } = outcome;
        // What a panic would leave behind is a count too low.
        let mut totals = self.0.totals.lock().unwrap_or_else(PoisonError::into_inner);
        totals.events += counts.judged;
        totals.anomalies.iter_mut().zip(counts.anomalies).for_each(|(sum, count)| *sum += count);
        totals.recent.add(now, counts.judged, counts.all_anomalies());
        totals.tallies.add(judged);
        totals.columns.add(columns);
    }
}

impl Collector for UseCaseMetrics {
    fn desc(&self) -> Vec<&Desc> {
        self.0.families.descs()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let totals = self.0.totals.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.families.collect(&totals)
    }
}

#[cfg(test)]
mod tests;
