//! The [`EventSource`] of the log.

use std::sync::Arc;

use pulse_core::ports::{EventSource, Polled};

use crate::error::StoreError;

use super::Shared;
use super::fetch;
use super::reading::{Found, Lease, Reader, Reading};

/// Reads a topic as the one member of its group.
///
/// Another source of the same group and topic, in this process or another, takes over: this one then reports that its
/// partitions are revoked, and fails from then on.
#[derive(Debug)]
pub struct EmbeddedSource {
    shared: Arc<Shared>,
    group: Arc<str>,
    topic: Arc<str>,
    member: Member,
}

/// Whether a source belongs to its group.
#[derive(Debug)]
enum Member {
    New,
    Active(Reader),
    Fenced,
}

impl EmbeddedSource {
    pub(super) fn new(shared: Arc<Shared>, group: &str, topic: &str) -> Self {
        Self { shared, group: Arc::from(group), topic: Arc::from(topic), member: Member::New }
    }

    /// Takes the group over.
    async fn join(&self) -> Result<Reader, StoreError> {
        let topic = self.shared.topics.get(&self.shared.db, &self.topic).await?;
        let epoch = fetch::take_lease(&self.shared.db, &self.group, &self.topic).await?;
        let lease = Lease { group: Arc::clone(&self.group), epoch };
        Reader::open(&self.shared, topic, Some(lease)).await
    }

    fn fenced(&self) -> StoreError {
        StoreError::Fenced { group: self.group.to_string(), topic: self.topic.to_string() }
    }
}

impl EventSource for EmbeddedSource {
    type Error = StoreError;

    async fn poll(&mut self, max_records: usize) -> Result<Polled, StoreError> {
        let fenced = self.fenced();
        let reader = match &mut self.member {
            Member::Active(reader) => reader,
            Member::Fenced => return Err(fenced),
            Member::New => {
                let reader = self.join().await?;
                let numbers = reader.numbers();
                self.member = Member::Active(reader);
                return Ok(Polled::Assigned(numbers));
            }
        };
        match reader.poll(&self.shared, max_records).await? {
            Found::Records(batch) => Ok(Polled::Records(batch)),
            Found::Nothing => Ok(Polled::Idle),
            Found::Fenced => {
                let numbers = reader.numbers();
                self.member = Member::Fenced;
                Ok(Polled::Revoked(numbers))
            }
        }
    }

    async fn seek(&mut self, partition: u32, offset: u64) -> Result<(), StoreError> {
        self.open(partition, Some(offset)).await
    }

    async fn seek_to_beginning(&mut self, partition: u32) -> Result<(), StoreError> {
        self.open(partition, None).await
    }

    fn pause(&mut self, partitions: &[u32]) {
        let Member::Active(reader) = &mut self.member else { return };
        for &partition in partitions {
            reader.set(partition, Reading::paused());
        }
    }

    /// Who comes next takes the group over, and waits for nobody to leave it.
    async fn leave(&mut self) -> bool {
        false
    }
}

impl EmbeddedSource {
    async fn open(&mut self, partition: u32, offset: Option<u64>) -> Result<(), StoreError> {
        if matches!(self.member, Member::New) {
            self.member = Member::Active(self.join().await?);
        }
        let fenced = self.fenced();
        let Member::Active(reader) = &mut self.member else {
            return Err(fenced);
        };
        reader.topic.partition(partition)?;
        reader.set(partition, Reading::from(offset));
        Ok(())
    }
}
