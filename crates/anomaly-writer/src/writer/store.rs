//! Storing one chunk, and setting aside what cannot be stored.

use pulse_core::ports::{AnomalyStore, Applied, EventProducer, EventSource, OffsetSpan};
use pulse_core::{Anomaly, Classify as _, ErrorClass, NewRecord, Record};
use pulse_runtime::chain;
use tokio::time::Instant;

use super::{End, Writer};
use crate::dead_letter::{cut, dead_letter};
use crate::error::WriterError;
use crate::pending::Chunk;

/// The anomalies of a chunk, beside the records that they came in.
struct Parsed<'a> {
    anomalies: Vec<Anomaly>,
    records: Vec<&'a Record>,
}

/// What came of storing a part.
enum Attempt {
    /// It is stored.
    Done,
    /// One of its rows cannot be stored, for this reason.
    Unfit(String),
    /// Another writer has stored it up to here.
    Overtaken(u64),
}

impl<S: EventSource, A: AnomalyStore, P: EventProducer> Writer<S, A, P> {
    /// Stores `chunk`. Dead letters come first: were they written after the span, a crash in between would lose them.
    pub(super) async fn store(&mut self, chunk: Chunk) -> Result<(), End> {
        let Chunk { span, records } = chunk;
        let mut parsed = Parsed { anomalies: Vec::with_capacity(records.len()), records: Vec::new() };
        let mut letters = Vec::new();
        for record in &records {
            match serde_json::from_slice(&record.payload) {
                Ok(anomaly) => {
                    parsed.anomalies.push(anomaly);
                    parsed.records.push(record);
                }
                Err(error) => letters.push(self.letter(&span, record, &format!("not an anomaly record: {error}"))),
            }
        }
        self.set_aside(letters).await?;
        // Parts still to be stored, the next one last: the range of rows, and their span.
        let mut parts = vec![(0..parsed.anomalies.len(), span)];
        while let Some((rows, span)) = parts.pop() {
            let reason = match self.attempt(&parsed.anomalies[rows.clone()], &span).await? {
                Attempt::Done => continue,
                Attempt::Unfit(reason) => reason,
                Attempt::Overtaken(end) => {
                    let stored = parsed.records[rows.clone()].partition_point(|record| record.offset < end);
                    parts.push((rows.start + stored..rows.end, OffsetSpan { from: end, ..span }));
                    continue;
                }
            };
            if let [record] = parsed.records[rows.clone()] {
                let letter = self.letter(&span, record, &reason);
                self.set_aside(vec![letter]).await?;
                parts.push((rows.end..rows.end, span));
            } else {
                let middle = rows.start + rows.len() / 2;
                let border = parsed.records[middle].offset;
                parts.push((middle..rows.end, OffsetSpan { from: border, ..span.clone() }));
                parts.push((rows.start..middle, OffsetSpan { to: border, ..span }));
            }
        }
        Ok(())
    }

    /// Stores `rows`, however often that takes, unless they must become others first.
    async fn attempt(&mut self, rows: &[Anomaly], span: &OffsetSpan) -> Result<Attempt, End> {
        loop {
            let begin = Instant::now();
            match self.store.store(rows, span).await {
                Ok(applied) => {
                    let count = if applied == Applied::Stored { rows.len() as u64 } else { 0 };
                    self.state.metrics.stored(count, begin.elapsed());
                    self.state.report.anomalies += count;
                    self.state.recovered();
                    return Ok(Attempt::Done);
                }
                Err(error) if error.class() == ErrorClass::DeadLetter && !rows.is_empty() => {
                    return Ok(Attempt::Unfit(error.to_string()));
                }
                Err(error) if error.class() == ErrorClass::Fatal => {
                    let Some(end) = self.overtaken(span).await? else {
                        return Err(WriterError::Store(Box::new(error)).into());
                    };
                    return Ok(Attempt::Overtaken(end));
                }
                Err(error) => self.state.failed(error, WriterError::Store).await?,
            }
        }
    }

    /// Where inside of `span` the database ends now, if it does.
    ///
    /// The writer before this one may have stored a last batch after this one had asked where to go on. As the end lies
    /// beyond the start of the span, what is tried next is always less.
    async fn overtaken(&mut self, span: &OffsetSpan) -> Result<Option<u64>, End> {
        let positions = self.positions().await?;
        let end = positions.into_iter().find_map(|(partition, end)| (partition == span.partition).then_some(end));
        let end = end.filter(|&end| span.from < end && end < span.to);
        if let Some(end) = end {
            let OffsetSpan { partition, from, to, .. } = *span;
            tracing::info!(partition, from, to, end, "another writer has stored the first of these");
        }
        Ok(end)
    }

    /// Writes dead letters, however often that takes. One that is itself too large is cut: were it refused for good, no
    /// writer could ever get past its record.
    async fn set_aside(&mut self, letters: Vec<NewRecord>) -> Result<(), End> {
        if letters.is_empty() {
            return Ok(());
        }
        let count = letters.len() as u64;
        // Parts still to be written, the next one last.
        let mut parts = vec![letters];
        while let Some(mut part) = parts.pop() {
            let Err(error) = self.deadletters.append(part.clone()).await else { continue };
            if error.class() != ErrorClass::DeadLetter {
                self.state.failed(error, WriterError::DeadLetters).await?;
                parts.push(part);
                continue;
            }
            // Nothing of it was written; the error does not say because of which letter.
            let rest = part.split_off(part.len() / 2);
            if let ([], [letter]) = (&*part, &*rest) {
                let Some(cut) = cut(letter, &chain(&error)) else {
                    return Err(WriterError::DeadLetters(Box::new(error)).into());
                };
                tracing::warn!(reason = chain(&error), topic = %self.dead_letter_topic, "a dead letter is cut");
                self.state.metrics.dead_letter_cut();
                parts.push(vec![cut]);
            } else {
                parts.extend([rest, part]);
            }
        }
        tracing::warn!(count, topic = %self.dead_letter_topic, "records that are no anomalies were set aside");
        self.state.metrics.dead_letters(count);
        self.state.report.dead_letters += count;
        self.state.recovered();
        Ok(())
    }

    fn letter(&self, span: &OffsetSpan, record: &Record, reason: &str) -> NewRecord {
        dead_letter(&self.dead_letter_topic, &span.topic, span.partition, record, reason)
    }
}
