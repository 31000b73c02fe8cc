//! The [`TopicReader`] of the log.

use std::sync::Arc;

use pulse_core::RecordBatch;
use pulse_core::ports::{Backlog, TopicReader};

use crate::error::StoreError;

use super::Shared;
use super::fetch::{self, Span};
use super::reading::{Found, Reader, WAIT};

/// Reads a topic from its beginning, beside all groups. Retention does not wait for it.
#[derive(Debug)]
pub struct EmbeddedReader {
    shared: Arc<Shared>,
    topic: Arc<str>,
    /// Whether the topic is waited for where there is none.
    is_patient: bool,
    /// None before the topic was found.
    begun: Option<Begun>,
}

#[derive(Debug)]
struct Begun {
    reader: Reader,
    /// What each partition held when reading began.
    spans: Vec<Span>,
}

impl EmbeddedReader {
    pub(super) fn new(shared: Arc<Shared>, topic: &str) -> Self {
        Self { shared, topic: Arc::from(topic), is_patient: false, begun: None }
    }

    /// Waits for the topic where there is none, instead of failing.
    #[must_use]
    pub fn patient(self) -> Self {
        Self { is_patient: true, ..self }
    }

    async fn begin(&self) -> Result<Begun, StoreError> {
        let topic = self.shared.topics.get(&self.shared.db, &self.topic).await?;
        let mut reader = Reader::open(&self.shared, topic, None).await?;
        let spans = fetch::spans(&self.shared.db, &reader.topic).await?;
        reader.begin_with(&spans);
        Ok(Begun { reader, spans })
    }
}

impl TopicReader for EmbeddedReader {
    type Error = StoreError;

    async fn read(&mut self, max_records: usize) -> Result<Option<RecordBatch>, StoreError> {
        if self.begun.is_none() {
            match self.begin().await {
                Ok(begun) => self.begun = Some(begun),
                Err(StoreError::UnknownTopic { .. }) if self.is_patient => {
                    tokio::time::sleep(WAIT).await;
                    return Ok(None);
                }
                Err(error) => return Err(error),
            }
        }
        let Some(begun) = &mut self.begun else { return Ok(None) };
        match begun.reader.poll(&self.shared, max_records).await? {
            Found::Records(batch) => Ok(Some(batch)),
            // Without a group nobody takes it over.
            Found::Nothing | Found::Fenced => Ok(None),
        }
    }

    fn backlog(&self) -> Option<Backlog> {
        let Begun { reader, spans } = self.begun.as_ref()?;
        let read = reader.positions().zip(spans).map(|(position, span)| position.min(span.end) - span.begin);
        Some(Backlog { total: spans.iter().map(|span| span.end - span.begin).sum(), read: read.sum() })
    }
}
