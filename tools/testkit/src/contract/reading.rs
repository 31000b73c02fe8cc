//! Reading until enough is there.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail, ensure};
use pulse_core::RecordBatch;
use pulse_core::ports::{Committer, EventSource, Polled, Restored, TopicReader};

/// Polls that may come back idle in a row before reading gives up: some seconds for every backend.
const PATIENCE: u32 = 200;

/// Takes over `partitions`, all of them; what was restored comes in their order.
///
/// # Errors
/// When one cannot be.
///
/// # Panics
/// When the committer does not tell once of each.
pub async fn restore<C: Committer>(committer: &C, partitions: &[u32]) -> Result<Vec<Restored>, C::Error> {
    let mut restored: BTreeMap<u32, Result<Restored, C::Error>> = BTreeMap::new();
    committer.restore(partitions, |partition, result| assert!(restored.insert(partition, result).is_none())).await;
    let told = restored.len();
    let in_order: Vec<_> = partitions.iter().filter_map(|partition| restored.remove(partition)).collect();
    assert_eq!((in_order.len(), told), (partitions.len(), partitions.len()), "each is told of, and no other");
    in_order.into_iter().collect()
}

/// Polls until partitions are assigned.
///
/// # Errors
/// When something else comes first, or nothing.
pub async fn assigned<S: EventSource>(source: &mut S) -> anyhow::Result<Vec<u32>> {
    for _ in 0..PATIENCE {
        match source.poll(1).await.context("polling")? {
            Polled::Assigned(partitions) if !partitions.is_empty() => return Ok(partitions),
            // A group that lets a member in may have nothing for it yet.
            Polled::Assigned(_) | Polled::Idle => {}
            other => bail!("expected an assignment, not {other:?}"),
        }
    }
    bail!("no partitions were assigned")
}

/// Polls until `count` records came, at most `max_records` at once, and checks what holds of every batch.
///
/// # Errors
/// When they do not come, or a batch breaks a rule.
pub async fn read<S: EventSource>(
    source: &mut S,
    count: usize,
    max_records: usize,
) -> anyhow::Result<Vec<RecordBatch>> {
    let mut batches: Vec<RecordBatch> = Vec::new();
    let (mut found, mut idle) = (0, 0);
    while found < count {
        match source.poll(max_records).await.context("polling")? {
            Polled::Records(batch) => {
                check(&batch, max_records)?;
                found += batch.records.len();
                idle = 0;
                batches.push(batch);
            }
            Polled::Idle if idle < PATIENCE => idle += 1,
            Polled::Idle => bail!("only {found} of {count} records came"),
            Polled::Assigned(_) => {}
            Polled::Revoked(partitions) => bail!("{partitions:?} were revoked"),
        }
    }
    ensure!(found == count, "{found} records came instead of {count}");
    Ok(batches)
}

/// Reads all that was there when reading began, at most `max_records` at once, and checks what holds of every batch.
///
/// # Errors
/// When it does not come, or a batch breaks a rule.
pub async fn read_backlog<R: TopicReader>(reader: &mut R, max_records: usize) -> anyhow::Result<Vec<RecordBatch>> {
    let (mut batches, mut idle) = (Vec::new(), 0);
    while !reader.backlog().is_some_and(|backlog| backlog.is_read()) {
        idle += 1;
        ensure!(idle <= PATIENCE, "only {:?} was read", reader.backlog());
        if let Some(batch) = next(reader, max_records).await? {
            idle = 0;
            batches.push(batch);
        }
    }
    Ok(batches)
}

/// Reads until `count` records came, at most `max_records` at once, and checks what holds of every batch.
///
/// # Errors
/// When they do not come, more do, or a batch breaks a rule.
pub async fn read_on<R: TopicReader>(
    reader: &mut R,
    count: usize,
    max_records: usize,
) -> anyhow::Result<Vec<RecordBatch>> {
    let (mut batches, mut found, mut idle) = (Vec::new(), 0, 0);
    while found < count {
        idle += 1;
        ensure!(idle <= PATIENCE, "only {found} of {count} records came");
        if let Some(batch) = next(reader, max_records).await? {
            (idle, found) = (0, found + batch.records.len());
            batches.push(batch);
        }
    }
    ensure!(found == count, "{found} records came instead of {count}");
    Ok(batches)
}

async fn next<R: TopicReader>(reader: &mut R, max_records: usize) -> anyhow::Result<Option<RecordBatch>> {
    let batch = reader.read(max_records).await.context("reading")?;
    if let Some(batch) = &batch {
        check(batch, max_records)?;
        ensure!(!batch.records.is_empty(), "a batch without records is none");
    }
    Ok(batch)
}

/// The payloads of each partition, in order.
pub(super) fn payloads(batches: &[RecordBatch]) -> BTreeMap<u32, Vec<String>> {
    let mut found: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for batch in batches {
        let texts = batch.records.iter().map(|record| String::from_utf8_lossy(&record.payload).into_owned());
        found.entry(batch.partition).or_default().extend(texts);
    }
    found
}

fn check(batch: &RecordBatch, max_records: usize) -> anyhow::Result<()> {
    ensure!(batch.records.len() <= max_records, "{} records are more than {max_records}", batch.records.len());
    ensure!(batch.records.is_sorted_by(|a, b| a.offset < b.offset), "offsets must rise");
    if let Some(last) = batch.records.last() {
        ensure!(batch.next_offset > last.offset, "the next offset must lie behind the last record");
    }
    ensure!(batch.next_offset <= batch.high_watermark, "nothing can be read beyond the end");
    Ok(())
}
