//! What every [`Committer`] keeps.

use anyhow::Context as _;
use bytes::Bytes;
use pulse_core::NewRecord;
use pulse_core::ports::{Commit, Committer, EventProducer, Restored, StateRecord};
use pulse_core::{Classify, ErrorClass};

use super::{LogBackend, read, restore};
use crate::samples::{keyed, record};

const INPUT: &str = "events";
const OUTPUT: &str = "results";
const STATE: &str = "events.state";
const OTHER_STATE: &str = "other.state";
const GROUP: &str = "workers";

fn state(key: &str, value: Option<&str>) -> StateRecord {
    StateRecord {
        key: Bytes::copy_from_slice(key.as_bytes()),
        value: value.map(|value| Bytes::copy_from_slice(value.as_bytes())),
    }
}

fn commit(partition: u32, next_offset: u64, outputs: Vec<NewRecord>, state: Vec<StateRecord>) -> Commit {
    Commit { partition, next_offset, outputs, state }
}

/// One commit by itself.
async fn commit_one<C: Committer>(committer: &C, commit: Commit) -> Result<(), C::Error> {
    committer.commit(&[commit]).await.into_iter().collect()
}

/// What stands for one partition, for whoever takes it over next.
async fn restored<B: LogBackend>(backend: &B, partition: u32) -> anyhow::Result<Restored> {
    let committer = backend.committer(GROUP, INPUT, STATE);
    Ok(restore(&committer, &[partition]).await?.remove(0))
}

/// Topics, and an input of 100 records in each of 2 partitions.
async fn prepare<B: LogBackend>(backend: &B) -> anyhow::Result<B::Committer> {
    backend.create_topic(INPUT, 2).await?;
    backend.create_topic(OUTPUT, 3).await?;
    let records = (0..200_u32).map(|i| record(INPUT, i % 2, "{}"));
    backend.producer().append(records.collect()).await?;
    Ok(backend.committer(GROUP, INPUT, STATE))
}

/// A commit makes outputs, state and positions of several partitions visible.
///
/// # Errors
/// When the backend fails.
pub async fn outputs_state_and_position_come_together<B: LogBackend>(backend: B) -> anyhow::Result<()> {
    let committer = prepare(&backend).await?;
    for fresh in restore(&committer, &[0, 1]).await? {
        assert_eq!((fresh.committed, fresh.start, fresh.state), (None, 0, vec![]));
    }
    let first = commit(0, 10, vec![keyed(OUTPUT, "a", "1"), keyed(OUTPUT, "b", "2")], vec![state("a", Some("s"))]);
    let second = commit(1, 20, vec![keyed(OUTPUT, "a", "3")], vec![state("z", Some(""))]);
    for result in committer.commit(&[first, second]).await {
        result?;
    }
    let outputs = read(&mut backend.source("readers", OUTPUT), 3, 10).await?;
    let mut payloads: Vec<Bytes> = outputs.iter().flat_map(|b| b.records.iter().map(|r| r.payload.clone())).collect();
    payloads.sort();
    assert_eq!(payloads, ["1", "2", "3"]);
    let successor = backend.committer(GROUP, INPUT, STATE);
    let both: Vec<_> = restore(&successor, &[1, 0]).await?.into_iter().map(|r| (r.committed, r.state)).collect();
    assert_eq!(both, [(Some(20), vec![state("z", Some(""))]), (Some(10), vec![state("a", Some("s"))])]);
    let other = restore(&backend.committer("others", INPUT, OTHER_STATE), &[0]).await?.remove(0);
    assert_eq!((other.committed, other.state), (None, vec![]));
    Ok(())
}

/// Positions and state are there after a restart, in their latest form.
///
/// # Errors
/// When the backend fails.
pub async fn everything_outlives_a_restart<B: LogBackend>(backend: B) -> anyhow::Result<()> {
    let committer = prepare(&backend).await?;
    restore(&committer, &[0]).await?;
    let many = |value: &str| (0..500).map(|i| state(&format!("key {i:03}"), Some(value))).collect::<Vec<_>>();
    commit_one(&committer, commit(0, 5, vec![], many("old"))).await?;
    commit_one(&committer, commit(0, 7, vec![], many("new"))).await?;
    drop(committer);
    let backend = backend.reopen().await?;
    let mut restored = restored(&backend, 0).await?;
    restored.state.sort_by(|a, b| a.key.cmp(&b.key));
    assert_eq!(restored.committed, Some(7));
    assert_eq!(restored.state, many("new"));
    Ok(())
}

/// A tombstone removes its key, and no other; the last change of a key stands, within one commit as well.
///
/// # Errors
/// When the backend fails.
pub async fn tombstones_remove_keys<B: LogBackend>(backend: B) -> anyhow::Result<()> {
    let committer = prepare(&backend).await?;
    restore(&committer, &[0]).await?;
    let set = vec![state("a", Some("1")), state("b", Some("1")), state("c", None), state("c", Some("1"))];
    commit_one(&committer, commit(0, 1, vec![], set)).await?;
    let removed = vec![state("a", None), state("never", None), state("b", Some("2")), state("b", None)];
    commit_one(&committer, commit(0, 2, vec![], removed)).await?;
    let restored = restored(&backend, 0).await?;
    assert_eq!(restored.state, [state("c", Some("1"))]);
    Ok(())
}

/// Whoever restored a partition last holds it; the one before can commit nothing any more, but keeps its others.
///
/// # Errors
/// When the backend fails.
pub async fn an_older_holder_is_fenced<B: LogBackend>(backend: B) -> anyhow::Result<()> {
    let old = prepare(&backend).await?;
    restore(&old, &[0, 1]).await?;
    commit_one(&old, commit(0, 1, vec![], vec![])).await?;
    let new = backend.committer(GROUP, INPUT, STATE);
    assert_eq!(restore(&new, &[0]).await?[0].committed, Some(1));
    let late = commit(0, 2, vec![keyed(OUTPUT, "a", "late")], vec![state("a", Some("late"))]);
    let error = commit_one(&old, late).await.err().context("the older holder was not fenced")?;
    assert!(matches!(error.class(), ErrorClass::Fatal | ErrorClass::Fenced), "{error}");
    commit_one(&old, commit(1, 2, vec![], vec![])).await?;
    commit_one(&new, commit(0, 3, vec![], vec![])).await?;
    let restored = restored(&backend, 0).await?;
    assert_eq!((restored.committed, restored.state), (Some(3), vec![]));
    assert!(backend.producer().last_records(OUTPUT).await?.is_empty());
    Ok(())
}

/// A position stays or rises, and never goes back.
///
/// # Errors
/// When the backend fails.
pub async fn positions_never_go_back<B: LogBackend>(backend: B) -> anyhow::Result<()> {
    let committer = prepare(&backend).await?;
    restore(&committer, &[0]).await?;
    commit_one(&committer, commit(0, 10, vec![], vec![])).await?;
    commit_one(&committer, commit(0, 10, vec![], vec![state("a", Some("1"))])).await?;
    let error = commit_one(&committer, commit(0, 9, vec![], vec![])).await.err().context("it went back")?;
    assert_eq!(error.class(), ErrorClass::Fatal, "{error}");
    assert_eq!(restored(&backend, 0).await?.committed, Some(10));
    Ok(())
}

/// Of a commit that is refused nothing is seen; those of other partitions beside it are not harmed.
///
/// # Errors
/// When the backend fails.
pub async fn nothing_of_a_refused_commit_is_seen<B: LogBackend>(backend: B) -> anyhow::Result<()> {
    let committer = prepare(&backend).await?;
    restore(&committer, &[0, 1]).await?;
    commit_one(&committer, commit(1, 10, vec![], vec![])).await?;
    let bad = [
        commit(1, 9, vec![keyed(OUTPUT, "b", "bad")], vec![state("b", Some("1"))]),
        commit(1, 12, vec![keyed(OUTPUT, "b", "bad"), keyed("nowhere", "a", "1")], vec![state("b", Some("1"))]),
    ];
    for (round, bad) in (1..).zip(bad) {
        let good = commit(0, round, vec![keyed(OUTPUT, "a", "good")], vec![state("a", Some("1"))]);
        let results = committer.commit(&[bad, good]).await;
        let refused: Vec<bool> = results.iter().map(Result::is_err).collect();
        assert_eq!(refused, [true, false], "{results:?}");
    }
    let outputs = read(&mut backend.source("readers", OUTPUT), 2, 10).await?;
    assert!(outputs.iter().flat_map(|batch| &batch.records).all(|record| record.payload == "good"));
    let restored = restore(&backend.committer(GROUP, INPUT, STATE), &[0, 1]).await?;
    let found: Vec<_> = restored.into_iter().map(|restored| (restored.committed, restored.state)).collect();
    assert_eq!(found, [(Some(2), vec![state("a", Some("1"))]), (Some(10), vec![])]);
    Ok(())
}

/// Without a restore there is nothing to commit to.
///
/// # Errors
/// When the backend fails.
pub async fn a_commit_needs_a_restore<B: LogBackend>(backend: B) -> anyhow::Result<()> {
    let committer = prepare(&backend).await?;
    restore(&committer, &[0]).await?;
    assert!(commit_one(&committer, commit(1, 1, vec![], vec![])).await.is_err());
    assert!(restore(&committer, &[2]).await.is_err(), "partition 2 of 2 was restored");
    committer.release(&[0]);
    assert!(commit_one(&committer, commit(0, 1, vec![], vec![])).await.is_err(), "it was released");
    Ok(())
}
