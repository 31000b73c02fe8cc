//! What a run did.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

/// Live numbers of a run.
#[derive(Debug, Default)]
pub struct Progress {
    produced: AtomicU64,
    injected: AtomicU64,
}

impl Progress {
    /// Events in the log by this run.
    #[must_use]
    pub fn produced(&self) -> u64 {
        self.produced.load(Ordering::Relaxed)
    }

    /// Injected anomalies among them.
    #[must_use]
    pub fn injected(&self) -> u64 {
        self.injected.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, produced: u64, injected: u64) {
        self.injected.fetch_add(injected, Ordering::Relaxed);
        self.produced.fetch_add(produced, Ordering::Relaxed);
    }
}

/// What a run did, when it is over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SimulatorReport {
    /// Events that it produced.
    pub events: u64,
    /// Injected anomalies, by kind.
    pub injected: BTreeMap<String, u64>,
    /// Genuine outliers of the sample.
    pub genuine_outliers: u64,
    /// The sequence number with which the next run goes on.
    pub next_sequence: u64,
}
