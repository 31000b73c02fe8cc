//! What every [`Committer`] keeps.

use anyhow::Context as _;
use bytes::Bytes;
use pulse_core::NewRecord;
use pulse_core::ports::{Commit, Committer, EventProducer, StateRecord};
use pulse_core::{Classify, ErrorClass};

use super::{LogBackend, read};
use crate::samples::{keyed, record};

const INPUT: &str = "events";
const OUTPUT: &str = "results";
const STATE: &str = "events.state";
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
    let mut committer = prepare(&backend).await?;
    for partition in 0..2 {
        assert_eq!(committer.restore(partition).await?, pulse_core::ports::Restored::default());
    }
    let first = commit(0, 10, vec![keyed(OUTPUT, "a", "1"), keyed(OUTPUT, "b", "2")], vec![state("a", Some("s"))]);
    let second = commit(1, 20, vec![keyed(OUTPUT, "a", "3")], vec![state("z", Some(""))]);
    committer.commit(vec![first, second]).await?;
    let outputs = read(&mut backend.source("readers", OUTPUT), 3, 10).await?;
    let mut payloads: Vec<Bytes> = outputs.iter().flat_map(|b| b.records.iter().map(|r| r.payload.clone())).collect();
    payloads.sort();
    assert_eq!(payloads, ["1", "2", "3"]);
    let mut successor = backend.committer(GROUP, INPUT, STATE);
    let restored = successor.restore(0).await?;
    assert_eq!((restored.committed, restored.state), (Some(10), vec![state("a", Some("s"))]));
    let restored = successor.restore(1).await?;
    assert_eq!((restored.committed, restored.state), (Some(20), vec![state("z", Some(""))]));
    let other = backend.committer("others", INPUT, "other.state").restore(0).await?;
    assert_eq!((other.committed, other.state), (None, vec![]));
    Ok(())
}

/// Positions and state are there after a restart, in their latest form.
///
/// # Errors
/// When the backend fails.
pub async fn everything_outlives_a_restart<B: LogBackend>(backend: B) -> anyhow::Result<()> {
    let mut committer = prepare(&backend).await?;
    committer.restore(0).await?;
    let many = |value: &str| (0..500).map(|i| state(&format!("key {i:03}"), Some(value))).collect::<Vec<_>>();
    committer.commit(vec![commit(0, 5, vec![], many("old"))]).await?;
    committer.commit(vec![commit(0, 7, vec![], many("new"))]).await?;
    drop(committer);
    let backend = backend.reopen().await?;
    let mut restored = backend.committer(GROUP, INPUT, STATE).restore(0).await?;
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
    let mut committer = prepare(&backend).await?;
    committer.restore(0).await?;
    let set = vec![state("a", Some("1")), state("b", Some("1")), state("c", None), state("c", Some("1"))];
    committer.commit(vec![commit(0, 1, vec![], set)]).await?;
    let removed = vec![state("a", None), state("never", None), state("b", Some("2")), state("b", None)];
    committer.commit(vec![commit(0, 2, vec![], removed)]).await?;
    let restored = backend.committer(GROUP, INPUT, STATE).restore(0).await?;
    assert_eq!(restored.state, [state("c", Some("1"))]);
    Ok(())
}

/// Whoever restored a partition last holds it; the one before can commit nothing any more, but keeps its others.
///
/// # Errors
/// When the backend fails.
pub async fn an_older_holder_is_fenced<B: LogBackend>(backend: B) -> anyhow::Result<()> {
    let mut old = prepare(&backend).await?;
    old.restore(0).await?;
    old.restore(1).await?;
    old.commit(vec![commit(0, 1, vec![], vec![])]).await?;
    let mut new = backend.committer(GROUP, INPUT, STATE);
    assert_eq!(new.restore(0).await?.committed, Some(1));
    let late = commit(0, 2, vec![keyed(OUTPUT, "a", "late")], vec![state("a", Some("late"))]);
    let error = old.commit(vec![late]).await.err().context("the older holder was not fenced")?;
    assert_eq!(error.class(), ErrorClass::Fatal, "{error}");
    new.commit(vec![commit(0, 3, vec![], vec![])]).await?;
    let restored = backend.committer(GROUP, INPUT, STATE).restore(0).await?;
    assert_eq!((restored.committed, restored.state), (Some(3), vec![]));
    assert!(backend.producer().last_records(OUTPUT).await?.is_empty());
    Ok(())
}

/// A position stays or rises, and never goes back.
///
/// # Errors
/// When the backend fails.
pub async fn positions_never_go_back<B: LogBackend>(backend: B) -> anyhow::Result<()> {
    let mut committer = prepare(&backend).await?;
    committer.restore(0).await?;
    committer.commit(vec![commit(0, 10, vec![], vec![])]).await?;
    committer.commit(vec![commit(0, 10, vec![], vec![state("a", Some("1"))])]).await?;
    let error = committer.commit(vec![commit(0, 9, vec![], vec![])]).await.err().context("it went back")?;
    assert_eq!(error.class(), ErrorClass::Fatal, "{error}");
    assert_eq!(backend.committer(GROUP, INPUT, STATE).restore(0).await?.committed, Some(10));
    Ok(())
}

/// When one of several commits is refused, none of them is seen.
///
/// # Errors
/// When the backend fails.
pub async fn nothing_of_a_refused_commit_is_seen<B: LogBackend>(backend: B) -> anyhow::Result<()> {
    let mut committer = prepare(&backend).await?;
    committer.restore(0).await?;
    committer.restore(1).await?;
    committer.commit(vec![commit(0, 10, vec![], vec![]), commit(1, 10, vec![], vec![])]).await?;
    let good = commit(0, 11, vec![keyed(OUTPUT, "a", "1")], vec![state("a", Some("1"))]);
    let bad = [
        commit(1, 9, vec![], vec![state("b", Some("1"))]),
        commit(1, 12, vec![keyed("nowhere", "a", "1")], vec![state("b", Some("1"))]),
    ];
    for bad in bad {
        assert!(committer.commit(vec![good.clone(), bad]).await.is_err());
    }
    assert!(backend.producer().last_records(OUTPUT).await?.is_empty());
    let mut successor = backend.committer(GROUP, INPUT, STATE);
    for partition in 0..2 {
        let restored = successor.restore(partition).await?;
        assert_eq!((restored.committed, restored.state), (Some(10), vec![]));
    }
    Ok(())
}

/// Without a restore there is nothing to commit to.
///
/// # Errors
/// When the backend fails.
pub async fn a_commit_needs_a_restore<B: LogBackend>(backend: B) -> anyhow::Result<()> {
    let mut committer = prepare(&backend).await?;
    committer.restore(0).await?;
    assert!(committer.commit(vec![commit(1, 1, vec![], vec![])]).await.is_err());
    assert!(committer.restore(2).await.is_err(), "partition 2 of 2 was restored");
    Ok(())
}
