//! What has been done so far, for the status line, the summary and the simulator's flow control.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use hdrhistogram::Histogram;
use pulse_core::TimestampMs;
use pulse_pipeline::{Counts, Judged};
use tokio::sync::watch;

use crate::quality::Quality;

/// Counts of this run, and what was measured in it.
#[derive(Debug, Clone)]
pub struct Summary {
    /// How many records took which way.
    pub counts: Counts,
    /// Milliseconds from an event's record timestamp to its committed verdict.
    pub latency_ms: Histogram<u64>,
    /// Verdicts against labels.
    pub quality: Quality,
    /// When events were committed last.
    pub last_commit: Option<Instant>,
}

/// Progress of one processor.
#[derive(Debug)]
pub struct Progress {
    processed: watch::Sender<u64>,
    assigned: watch::Sender<usize>,
    lag: AtomicU64,
    summary: Mutex<Summary>,
}

impl Progress {
    /// Nothing done yet; `labels` are those of the plan.
    #[must_use]
    pub fn new(labels: &[String]) -> Self {
        // An hour in milliseconds at two digits: the buckets take 40 KiB.
        let latency_ms = Histogram::new_with_bounds(1, 3_600_000, 2).unwrap_or_else(|_| empty_histogram());
        let summary =
            Summary { counts: Counts::default(), latency_ms, quality: Quality::new(labels), last_commit: None };
        Self {
            processed: watch::Sender::new(0),
            assigned: watch::Sender::new(0),
            lag: AtomicU64::new(0),
            summary: Mutex::new(summary),
        }
    }

    /// Records whose results are committed, in this run.
    #[must_use]
    pub fn processed(&self) -> watch::Receiver<u64> {
        self.processed.subscribe()
    }

    /// Partitions that are being read.
    #[must_use]
    pub fn assigned(&self) -> watch::Receiver<usize> {
        self.assigned.subscribe()
    }

    /// Records that wait in the log.
    #[must_use]
    pub fn lag(&self) -> u64 {
        self.lag.load(Ordering::Relaxed)
    }

    /// Counts and latencies so far, at less cost than [`summary`](Self::summary).
    #[must_use]
    pub fn glance(&self) -> (Counts, Histogram<u64>) {
        let summary = self.summary.lock().unwrap_or_else(PoisonError::into_inner);
        (summary.counts, summary.latency_ms.clone())
    }

    /// Everything so far.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.summary.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_assigned(&self, partitions: usize) {
        self.assigned.send_replace(partitions);
    }

    pub(crate) fn set_lag(&self, lag: u64) {
        self.lag.store(lag, Ordering::Relaxed);
    }

    /// Counts a committed batch.
    pub(crate) fn committed(&self, counts: &Counts, judged: &[Judged], now: TimestampMs) {
        let mut summary = self.summary.lock().unwrap_or_else(PoisonError::into_inner);
        add(&mut summary.counts, counts);
        for verdict in judged {
            let latency = u64::try_from(now.saturating_sub(verdict.timestamp)).unwrap_or(0);
            summary.latency_ms.saturating_record(latency);
        }
        summary.quality.add(judged);
        if counts.read > 0 {
            summary.last_commit = Some(Instant::now());
        }
        drop(summary);
        self.processed.send_modify(|processed| *processed += counts.read);
    }
}

#[expect(clippy::expect_used, reason = "two digits are always allowed")]
fn empty_histogram() -> Histogram<u64> {
    Histogram::new(2).expect("a histogram of two digits")
}

fn add(sum: &mut Counts, counts: &Counts) {
    sum.read += counts.read;
    sum.judged += counts.judged;
    sum.skipped += counts.skipped;
    sum.dead_letters += counts.dead_letters;
    sum.by_forest += counts.by_forest;
    sum.by_rolling += counts.by_rolling;
    sum.anomalies.iter_mut().zip(counts.anomalies).for_each(|(sum, count)| *sum += count);
}
