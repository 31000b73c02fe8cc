//! Training rows from a topic.

use pulse_core::ErrorClass;
use pulse_core::ports::{PortError, TopicReader};
use pulse_features::{Featurizer, UseCaseDir};
use tokio::task::spawn_blocking;

use super::sink::{Gathered, Sink};
use super::{Trained, grow};
use crate::error::TrainingError;

/// Records that are read at once.
const BATCH: usize = 4096;

/// Which events of a topic a model is trained on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Those that are there; of more than this, so many are drawn.
    All(usize),
    /// The first ones that are valid, so many; they are waited for.
    First(usize),
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

impl<E: PortError> TopicError<E> {
    /// Whether it may pass by itself.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Read(error) if error.class() == ErrorClass::Retry)
    }
}

/// Trains a model of the use case in `dir` on events that `reader` reads; `label` names the field that says whether an event is an
/// anomaly. `progress` is told how much was read, and of how much: events where the first ones are waited for, else offsets.
///
/// # Errors
/// When there is no isolation forest in the use case, the topic cannot be read, or not one event is valid. An error of the reader
/// that may pass ends it, too: called again, it starts anew.
pub async fn train_from_topic<R: TopicReader>(
    dir: &UseCaseDir,
    reader: &mut R,
    wanted: Wanted,
    label: Option<&str>,
    mut progress: impl FnMut(u64, u64),
) -> Result<Trained, TopicError<R::Error>> {
    super::forest_settings(dir)?;
    let mut featurizer = Featurizer::new(dir).map_err(TrainingError::from)?;
    let gathered = gather(dir, reader, &mut featurizer, wanted, label, &mut progress).await?;
    if gathered.read == 0 {
        return Err(TopicError::Empty(dir.use_case.topic.clone()));
    }
    if let Some(label) = label.filter(|_| !gathered.rows.is_empty() && gathered.labels.iter().all(Option::is_none)) {
        let path = dir.use_case.topic.clone().into();
        return Err(TrainingError::NoLabel { path, label: label.to_owned() }.into());
    }
    let dir = dir.clone();
    Ok(spawn_blocking(move || grow(&dir, &featurizer, gathered)).await??)
}

async fn gather<R: TopicReader>(
    dir: &UseCaseDir,
    reader: &mut R,
    featurizer: &mut Featurizer,
    wanted: Wanted,
    label: Option<&str>,
    progress: &mut impl FnMut(u64, u64),
) -> Result<Gathered, TopicError<R::Error>> {
    let (Wanted::All(rows) | Wanted::First(rows)) = wanted;
    let mut sink = Sink::new(dir, featurizer, label, rows);
    loop {
        let backlog = reader.backlog().unwrap_or_default();
        match wanted {
            Wanted::All(_) => {
                progress(backlog.read, backlog.total);
                if reader.backlog().is_some_and(|backlog| backlog.is_read()) {
                    return Ok(sink.finish());
                }
            }
            Wanted::First(_) => {
                progress(sink.kept() as u64, rows as u64);
                if sink.kept() >= rows {
                    return Ok(sink.finish());
                }
            }
        }
        let batch = reader.read(BATCH).await.map_err(TopicError::Read)?;
        for record in batch.iter().flat_map(|batch| &batch.records) {
            sink.take_json(&record.payload);
            if matches!(wanted, Wanted::First(rows) if sink.kept() >= rows) {
                break;
            }
        }
        // Decoding takes its time, too.
        tokio::task::yield_now().await;
    }
}
