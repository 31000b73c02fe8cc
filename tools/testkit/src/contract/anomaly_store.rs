//! What every [`AnomalyStore`] keeps.

use std::cell::Cell;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use futures_util::future::{join, try_join_all};
use pulse_core::ports::{AnomalyQuery as _, AnomalyStore, Applied, OffsetSpan};
use pulse_core::{Anomaly, Classify, ErrorClass};
use serde_json::value::RawValue;

use super::AnomalyBackend;
use crate::samples::{anomaly, odd_anomalies};

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

/// Of several writers with the same spans, one stores each; the others are told that it is stored.
///
/// # Errors
/// When the backend fails.
pub async fn of_several_writers_one_stores<B: AnomalyBackend>(backend: B) -> anyhow::Result<()> {
    let mut writers: Vec<_> = (0..3).map(|_| backend.store()).collect();
    for from in (0..200).step_by(20) {
        let (rows, span) = (sample(from, from + 20), span(0, from, from + 20));
        let mut applied = try_join_all(writers.iter_mut().map(|writer| writer.store(&rows, &span))).await?;
        applied.sort_by_key(|applied| *applied == Applied::AlreadyStored);
        assert_eq!(applied, [Applied::Stored, Applied::AlreadyStored, Applied::AlreadyStored]);
    }
    assert_eq!(count(&backend).await?, 200);
    assert_eq!(backend.store().positions("anomalies").await?, [(0, 200)]);
    Ok(())
}

/// A live view misses nothing of what several writers store at the same time: sequences become visible in their order.
///
/// # Errors
/// When the backend fails.
pub async fn live_views_miss_nothing_of_several_writers<B: AnomalyBackend>(backend: B) -> anyhow::Result<()> {
    const EACH: u64 = 200;
    let done = Cell::new(false);
    let writing = async {
        let writers = (0..4).map(|partition| {
            let mut store = backend.store();
            async move {
                let begin = u64::from(partition) * EACH;
                for from in (0..EACH).step_by(8) {
                    store.store(&sample(begin + from, begin + from + 8), &span(partition, from, from + 8)).await?;
                }
                anyhow::Ok(())
            }
        });
        let written = try_join_all(writers).await;
        done.set(true);
        written
    };
    let following = async {
        let query = backend.query();
        let (mut position, mut seen) = (0, 0);
        loop {
            let is_last = done.get();
            let rows = query.since(position, 50).await?;
            ensure!(rows.iter().all(|row| row.sequence > position), "a sequence came twice");
            position = rows.last().map_or(position, |row| row.sequence);
            seen += rows.len() as u64;
            if is_last && rows.is_empty() {
                return Ok(seen);
            }
        }
    };
    let (written, seen) = join(writing, following).await;
    written?;
    assert_eq!(seen?, 4 * EACH);
    Ok(())
}

/// Whatever text, number or time an anomaly holds: it is stored and comes back the same, or is told apart from a failing
/// store, and the next one is stored.
///
/// # Errors
/// When the backend fails.
pub async fn odd_anomalies_stop_nothing<B: AnomalyBackend>(backend: B) -> anyhow::Result<()> {
    let mut store = backend.store();
    let mut end = 0;
    for (what, odd) in odd_anomalies()? {
        match store.store(std::slice::from_ref(&odd), &span(0, end, end + 1)).await {
            Ok(_) => {
                end += 1;
                let found = backend.query().get(&odd.id).await?.with_context(|| format!("{what}: it is missing"))?;
                assert!(found.anomaly.event.get() == odd.event.get(), "{what}: the event came back another");
                let rest = |anomaly| serde_json::to_value(Anomaly { event: RawValue::NULL.to_owned(), ..anomaly });
                assert_eq!(rest(found.anomaly)?, rest(odd)?, "{what}");
            }
            Err(error) => assert_eq!(error.class(), ErrorClass::DeadLetter, "{what}: {error:?}"),
        }
    }
    assert_eq!(store.store(&sample(5000, 5010), &span(0, end, end + 10)).await?, Applied::Stored);
    Ok(())
}
