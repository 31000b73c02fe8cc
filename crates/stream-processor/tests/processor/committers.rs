//! Committers with which something is wrong.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use pulse_core::ports::{Commit, Committer, Restored};
use pulse_core::{Classify, ErrorClass};
use pulse_store::{EmbeddedCommitter, StoreError};

use crate::setup::Away;

/// Every other commit fails at first, before anything is written.
pub(crate) struct FlakyCommitter<C> {
    pub(crate) inner: C,
    pub(crate) calls: AtomicU64,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum FlakyError {
    #[error(transparent)]
    Away(#[from] Away),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Classify for FlakyError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Away(away) => away.class(),
            Self::Store(error) => error.class(),
        }
    }
}

impl<C: Committer<Error = StoreError>> Committer for FlakyCommitter<C> {
    const TOGETHER: bool = true;
    type Error = FlakyError;

    async fn restore(&self, partitions: &[u32], mut each: impl FnMut(u32, Result<Restored, FlakyError>) + Send) {
        // Each is taken over at the second attempt, but for the first of them.
        let (first, rest) = partitions.split_at(1);
        self.inner.restore(first, |partition, result| each(partition, result.map_err(FlakyError::from))).await;
        rest.iter().for_each(|&partition| each(partition, Err(Away.into())));
    }

    fn hand_over(&self, partitions: &[u32]) {
        self.inner.hand_over(partitions);
    }

    fn release(&self, partitions: &[u32]) {
        self.inner.release(partitions);
    }

    async fn commit(&self, commits: &[Commit]) -> Vec<Result<(), FlakyError>> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        // One partition fails alone, or all of them.
        let (failing, rest) = commits.split_at(if call % 4 == 1 { 1 } else { commits.len() * (call % 2) as usize });
        let failures = failing.iter().map(|_| Err(Away.into()));
        let done = self.inner.commit(rest).await.into_iter().map(|result| result.map_err(FlakyError::from));
        failures.chain(done).collect()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("another one has taken over")]
pub(crate) struct Gone;

impl Classify for Gone {
    fn class(&self) -> ErrorClass {
        ErrorClass::Fatal
    }
}

/// Takes commits until so many records are committed, then none any more: what a killed process leaves behind.
pub(crate) struct DyingCommitter {
    pub(crate) inner: EmbeddedCommitter,
    pub(crate) dies_at: u64,
    pub(crate) committed: Mutex<HashMap<u32, u64>>,
}

impl Committer for DyingCommitter {
    const TOGETHER: bool = true;
    type Error = Gone;

    async fn restore(&self, partitions: &[u32], mut each: impl FnMut(u32, Result<Restored, Gone>) + Send) {
        let taken = |partition, result: Result<Restored, StoreError>| {
            let restored = result.unwrap();
            self.committed.lock().unwrap().insert(partition, restored.committed.unwrap_or(0));
            each(partition, Ok(restored));
        };
        self.inner.restore(partitions, taken).await;
    }

    fn hand_over(&self, partitions: &[u32]) {
        self.inner.hand_over(partitions);
    }

    fn release(&self, partitions: &[u32]) {
        self.inner.release(partitions);
    }

    async fn commit(&self, commits: &[Commit]) -> Vec<Result<(), Gone>> {
        {
            let mut committed = self.committed.lock().unwrap();
            if committed.values().sum::<u64>() >= self.dies_at {
                return commits.iter().map(|_| Err(Gone)).collect();
            }
            committed.extend(commits.iter().map(|commit| (commit.partition, commit.next_offset)));
        }
        self.inner.commit(commits).await.into_iter().map(|result| result.map_err(|_| Gone)).collect()
    }
}

/// Says again and again that somebody else has a partition, although nobody has.
pub(crate) struct LosingCommitter {
    pub(crate) inner: EmbeddedCommitter,
    pub(crate) calls: AtomicU64,
    pub(crate) lost: Arc<AtomicU64>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum LosingError {
    #[error("another one has taken over")]
    Fenced,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Classify for LosingError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Fenced => ErrorClass::Fenced,
            Self::Store(error) => error.class(),
        }
    }
}

impl Committer for LosingCommitter {
    const TOGETHER: bool = true;
    type Error = LosingError;

    async fn restore(&self, partitions: &[u32], mut each: impl FnMut(u32, Result<Restored, LosingError>) + Send) {
        if self.calls.fetch_add(1, Ordering::Relaxed) == 0 {
            return partitions.iter().for_each(|&partition| each(partition, Err(LosingError::Fenced)));
        }
        self.inner.restore(partitions, |partition, result| each(partition, result.map_err(LosingError::from))).await;
    }

    fn hand_over(&self, partitions: &[u32]) {
        self.inner.hand_over(partitions);
    }

    fn release(&self, partitions: &[u32]) {
        self.inner.release(partitions);
    }

    async fn commit(&self, commits: &[Commit]) -> Vec<Result<(), LosingError>> {
        let losing = usize::from(self.calls.fetch_add(1, Ordering::Relaxed).is_multiple_of(7));
        self.lost.fetch_add(losing as u64, Ordering::Relaxed);
        let (lost, rest) = commits.split_at(losing);
        let done = self.inner.commit(rest).await.into_iter().map(|result| result.map_err(LosingError::from));
        lost.iter().map(|_| Err(LosingError::Fenced)).chain(done).collect()
    }
}

/// Takes no output of more bytes than its topic does, as brokers do.
pub(crate) struct NarrowCommitter {
    pub(crate) inner: EmbeddedCommitter,
    pub(crate) anomalies: usize,
    pub(crate) dead_letters: usize,
}

#[derive(Debug, thiserror::Error)]
#[error("too large for {0}")]
pub(crate) struct TooLarge(Arc<str>);

impl Classify for TooLarge {
    fn class(&self) -> ErrorClass {
        ErrorClass::DeadLetter
    }

    fn too_large_for(&self) -> Option<&str> {
        Some(&self.0)
    }
}

impl Committer for NarrowCommitter {
    const TOGETHER: bool = true;
    type Error = TooLarge;

    async fn restore(&self, partitions: &[u32], mut each: impl FnMut(u32, Result<Restored, TooLarge>) + Send) {
        self.inner.restore(partitions, |partition, result| each(partition, Ok(result.unwrap()))).await;
    }

    fn hand_over(&self, partitions: &[u32]) {
        self.inner.hand_over(partitions);
    }

    fn release(&self, partitions: &[u32]) {
        self.inner.release(partitions);
    }

    async fn commit(&self, commits: &[Commit]) -> Vec<Result<(), TooLarge>> {
        let mut results = Vec::new();
        for commit in commits {
            let limit = |topic: &str| if topic == "anomalies" { self.anomalies } else { self.dead_letters };
            results.push(match commit.outputs.iter().find(|output| output.encoded_bytes() > limit(&output.topic)) {
                Some(output) => Err(TooLarge(Arc::clone(&output.topic))),
                None => {
                    let done = self.inner.commit(std::slice::from_ref(commit)).await;
                    done.into_iter().for_each(|result| result.unwrap());
                    Ok(())
                }
            });
        }
        results
    }
}

/// Where an [`AwayCommitter`] says that partitions end.
pub(crate) const FAR: u64 = 1_000_000;

/// Takes nothing: says to come back later, or says nothing at all.
pub(crate) struct AwayCommitter {
    pub(crate) silent: bool,
}

impl Committer for AwayCommitter {
    const TOGETHER: bool = true;
    type Error = Away;

    async fn restore(&self, partitions: &[u32], mut each: impl FnMut(u32, Result<Restored, Away>) + Send) {
        partitions.iter().for_each(|&partition| each(partition, Ok(Restored::default())));
    }

    fn hand_over(&self, _: &[u32]) {}

    fn release(&self, _: &[u32]) {}

    async fn commit(&self, commits: &[Commit]) -> Vec<Result<(), Away>> {
        if self.silent {
            std::future::pending::<()>().await;
        }
        commits.iter().map(|_| Err(Away)).collect()
    }

    async fn ends(&self, partitions: &[u32]) -> BTreeMap<u32, u64> {
        partitions.iter().map(|&partition| (partition, FAR)).collect()
    }
}
