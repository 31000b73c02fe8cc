//! What every [`AnomalyStore`] keeps.

use std::sync::Arc;

use anyhow::Context as _;
use pulse_core::ports::{AnomalyQuery as _, AnomalyStore, Applied, OffsetSpan};
use pulse_core::{Anomaly, Classify, ErrorClass};

use super::AnomalyBackend;
use crate::samples::anomaly;

pub(super) fn span(partition: u32, from: u64, to: u64) -> OffsetSpan {
    OffsetSpan { topic: Arc::from("anomalies"), partition, from, to }
}

pub(super) fn sample(from: u64, to: u64) -> Vec<Anomaly> {
    (from..to).map(anomaly).collect()
}

async fn count<B: AnomalyBackend>(backend: &B) -> anyhow::Result<usize> {
    Ok(backend.query().since(0, 10_000).await?.len())
}

/// A span stored already is acknowledged, and changes nothing.
///
/// # Errors
/// When the backend fails.
pub async fn a_replay_is_a_no_op<B: AnomalyBackend>(backend: B) -> anyhow::Result<()> {
    let mut store = backend.store();
    let rows = sample(0, 300);
    for expected in [Applied::Stored, Applied::AlreadyStored, Applied::AlreadyStored] {
        assert_eq!(store.store(&rows, &span(0, 0, 300)).await?, expected);
        assert_eq!(count(&backend).await?, 300);
    }
    assert_eq!(store.store(&sample(10, 20), &span(0, 10, 20)).await?, Applied::AlreadyStored);
    assert_eq!(store.store(&sample(300, 301), &span(0, 300, 301)).await?, Applied::Stored);
    assert_eq!(store.positions("anomalies").await?, [(0, 301)]);
    assert_eq!(count(&backend).await?, 301);
    Ok(())
}

/// A span that leaves a gap, or overlaps what is stored in part, is refused and changes nothing.
///
/// # Errors
/// When the backend fails.
pub async fn gaps_and_partial_overlaps_are_refused<B: AnomalyBackend>(backend: B) -> anyhow::Result<()> {
    let mut store = backend.store();
    store.store(&sample(0, 10), &span(0, 0, 10)).await?;
    for (from, to) in [(11, 20), (5, 15), (0, 11), (12, 11)] {
        let refused = store.store(&sample(20, 25), &span(0, from, to)).await;
        let error = refused.err().with_context(|| format!("{from}..{to} was accepted"))?;
        assert_eq!(error.class(), ErrorClass::Fatal, "{error}");
    }
    assert_eq!(count(&backend).await?, 10);
    assert_eq!(store.positions("anomalies").await?, [(0, 10)]);
    Ok(())
}

/// A span may be wider than its rows, and may have none; partitions and topics are apart.
///
/// # Errors
/// When the backend fails.
pub async fn holes_are_part_of_a_span<B: AnomalyBackend>(backend: B) -> anyhow::Result<()> {
    let mut store = backend.store();
    assert_eq!(store.store(&sample(0, 3), &span(0, 5, 50)).await?, Applied::Stored);
    assert_eq!(store.store(&[], &span(0, 50, 60)).await?, Applied::Stored);
    assert_eq!(store.store(&sample(3, 5), &span(4, 0, 2)).await?, Applied::Stored);
    assert_eq!(store.positions("anomalies").await?, [(0, 60), (4, 2)]);
    assert_eq!(store.positions("elsewhere").await?, []);
    assert_eq!(count(&backend).await?, 5);
    Ok(())
}

/// Rows and positions are there after a restart.
///
/// # Errors
/// When the backend fails.
pub async fn positions_outlive_a_restart<B: AnomalyBackend>(backend: B) -> anyhow::Result<()> {
    backend.store().store(&sample(0, 7), &span(2, 0, 7)).await?;
    let backend = backend.reopen().await?;
    let mut store = backend.store();
    assert_eq!(store.positions("anomalies").await?, [(2, 7)]);
    assert_eq!(store.store(&sample(0, 7), &span(2, 0, 7)).await?, Applied::AlreadyStored);
    assert_eq!(count(&backend).await?, 7);
    Ok(())
}

/// An anomaly that stands twice in the topic is stored once.
///
/// # Errors
/// When the backend fails.
pub async fn the_same_anomaly_is_stored_once<B: AnomalyBackend>(backend: B) -> anyhow::Result<()> {
    let mut store = backend.store();
    store.store(&[anomaly(0), anomaly(1), anomaly(0)], &span(0, 0, 3)).await?;
    store.store(&[anomaly(1), anomaly(2)], &span(0, 3, 5)).await?;
    assert_eq!(count(&backend).await?, 3);
    Ok(())
}

/// One anomaly that can never be stored is told apart from a failing store.
///
/// # Errors
/// When the backend fails.
pub async fn an_anomaly_that_cannot_be_stored_is_a_dead_letter<B: AnomalyBackend>(backend: B) -> anyhow::Result<()> {
    let mut store = backend.store();
    let bad = Anomaly { score: f64::NAN, ..anomaly(1) };
    let refused = store.store(&[anomaly(0), bad], &span(0, 0, 2)).await;
    let error = refused.err().context("a score that is no number was stored")?;
    assert_eq!(error.class(), ErrorClass::DeadLetter, "{error}");
    assert_eq!(count(&backend).await?, 0);
    assert_eq!(store.store(&[anomaly(0)], &span(0, 0, 2)).await?, Applied::Stored);
    Ok(())
}
