//! Training rows from a topic.

use std::time::Duration;

use pulse_core::ports::{PortError, TopicReader};
use pulse_core::{Backoff, Classify as _, ErrorClass};
use pulse_features::{Fault, Featurizer, UseCaseDir};
use tokio::task::spawn_blocking;

use super::sink::{Gathered, Sink};
use super::{Trained, chain, grow};
use crate::error::TrainingError;

/// Records that are read at once.
const BATCH: usize = 4096;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How far it is.
#[derive(Debug, Clone, Copy)]
pub struct Reached<'a> {
    /// Offsets that were read; where the first events are waited for, valid events.
    pub done: u64,
    /// How many there are, or are wanted.
    pub total: u64,
    /// Events that are no valid ones.
    pub left_out: u64,
    /// What is wrong with the first of them.
    pub first_fault: Option<&'a Fault>,
}

/// Why a model could not be trained from a topic.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TopicError<E: std::error::Error + 'static> {
    /// The topic cannot be read.
    #[error("the topic cannot be read")]
    Read(#[source] E),
    /// There is nothing in the topic.
    #[error("the topic {0} is empty: there is nothing to train on")]
    Empty(String),
    /// What was read is no use.
    #[error(transparent)]
    Training(#[from] TrainingError),
    /// The training panicked.
    #[error("training broke off")]
    Panic(#[from] tokio::task::JoinError),
}

/// Trains a model of the use case in `dir` on what is in a topic when `reader` begins, or on `max_rows` of that, drawn; `label` names
/// the field that says whether an event is an anomaly.
///
/// # Errors
/// When there is no isolation forest in the use case, the topic cannot be read or is empty, or not one event is valid.
pub async fn train_from_topic<R: TopicReader>(
    dir: &UseCaseDir,
    reader: &mut R,
    max_rows: usize,
    label: Option<&str>,
    mut progress: impl FnMut(Reached<'_>),
) -> Result<Trained, TopicError<R::Error>> {
    super::forest_settings(dir)?;
    let mut featurizer = Featurizer::new(dir).map_err(TrainingError::from)?;
    let mut sink = Sink::new(dir, &mut featurizer, label, max_rows);
    loop {
        let backlog = reader.backlog();
        let (done, total) = backlog.map_or((0, 0), |backlog| (backlog.read, backlog.total));
        progress(sink.reached(done, total));
        if backlog.is_some_and(|backlog| backlog.is_read()) {
            break;
        }
        let batch = reader.read(BATCH).await.map_err(TopicError::Read)?;
        batch.iter().flat_map(|batch| &batch.records).for_each(|record| sink.take_json(&record.payload));
        // Decoding takes its time, too.
        tokio::task::yield_now().await;
    }
    let topic = &dir.use_case.topic;
    if sink.is_empty() {
        return Err(TopicError::Empty(topic.clone()));
    }
    if let Some(label) = label.filter(|_| sink.has_no_label()) {
        return Err(TrainingError::NoLabel { path: topic.into(), label: label.to_owned() }.into());
    }
    let (gathered, dir) = (sink.finish(), dir.clone());
    Ok(spawn_blocking(move || grow(&dir, gathered)).await??)
}

/// Gathers the first `events` valid events of a topic, which are waited for. What may pass is waited for, too.
///
/// # Errors
/// When there is no isolation forest in the use case, or the topic cannot be read.
pub(crate) async fn gather_first<R: TopicReader>(
    dir: &UseCaseDir,
    reader: &mut R,
    events: usize,
    progress: impl Fn(Reached<'_>),
) -> Result<Gathered, TopicError<R::Error>> {
    super::forest_settings(dir)?;
    let mut featurizer = Featurizer::new(dir).map_err(TrainingError::from)?;
    let mut sink = Sink::new(dir, &mut featurizer, None, events);
    let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
    while sink.kept() < events {
        let batch = match reader.read(BATCH).await {
            Ok(batch) => batch,
            Err(error) if error.class() == ErrorClass::Retry => {
                wait(&error, &mut backoff).await;
                continue;
            }
            Err(error) => return Err(TopicError::Read(error)),
        };
        backoff.reset();
        for record in batch.iter().flat_map(|batch| &batch.records) {
            if sink.kept() < events {
                sink.take_json(&record.payload);
            }
        }
        progress(sink.reached(sink.kept() as u64, events as u64));
        tokio::task::yield_now().await;
    }
    Ok(sink.finish())
}

async fn wait<E: PortError>(error: &E, backoff: &mut Backoff) {
    tracing::warn!(error = chain(error), "the first events cannot be read: trying again");
    tokio::time::sleep(backoff.pause(rand::random())).await;
}
