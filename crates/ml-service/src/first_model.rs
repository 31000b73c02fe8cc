//! The first model of a use case that has neither a model nor a sample: trained on the first events of its topic.
//!
//! One process does that, by the lock on the folder of models; the others wait until it has put the model in force, and
//! [follow](crate::follow) that. So all of them have the same model.

use std::time::Duration;

use pulse_core::Backoff;
use pulse_core::ports::{Clock, TopicReader};
use pulse_features::UseCaseDir;
use tokio::task::spawn_blocking;

use crate::model_slot::WarmUp;
use crate::registry::{Provenance, Registry, RegistryError, TrainingLock};
use crate::served::ServedUseCase;
use crate::training::{Trained, Wanted, chain, train_from_topic};

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often it is looked whether whoever trains is done, or has died.
const LOOK: Duration = Duration::from_secs(1);

/// Trains the model of `use_case`, which is that of `dir`, on the first `events` valid events of its topic, as soon as they have come, and
/// puts it in force. `open` opens the topic. What may pass is tried again; what does not is said in the log and to whoever asks.
/// Ends when there is a model, or will be none.
pub async fn train_first_model<R: TopicReader>(
    dir: &UseCaseDir,
    use_case: &ServedUseCase,
    open: impl Fn() -> Result<R, R::Error>,
    events: usize,
    clock: &dyn Clock,
) {
    let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
    while use_case.slot().model().is_none() {
        let lock = match lock(use_case.registry()).await {
            Ok(Some(lock)) => lock,
            Ok(None) => {
                say(use_case, "another process trains the model", 0, None);
                tokio::time::sleep(LOOK).await;
                continue;
            }
            Err(error) => return fail(use_case, &error),
        };
        match train(dir, use_case, &open, events, clock, &lock).await {
            Ok(()) => return,
            Err(Failure::Passing(error)) => {
                tracing::warn!(use_case = use_case.name(), error, "training on the first events failed: trying again");
                tokio::time::sleep(backoff.pause(rand::random())).await;
            }
            Err(Failure::Final(error)) => return fail(use_case, &*error),
        }
    }
}

/// Why there is no model yet.
enum Failure {
    Passing(String),
    Final(Box<dyn std::error::Error + Send + Sync>),
}

/// The right to train; none where somebody else has it.
async fn lock(registry: &Registry) -> Result<Option<TrainingLock>, RegistryError> {
    let registry = registry.clone();
    match spawn_blocking(move || registry.lock()).await {
        Ok(Ok(lock)) => Ok(Some(lock)),
        Ok(Err(RegistryError::Locked { .. })) | Err(_) => Ok(None),
        Ok(Err(error)) => Err(error),
    }
}

async fn train<R: TopicReader>(
    dir: &UseCaseDir,
    use_case: &ServedUseCase,
    open: &impl Fn() -> Result<R, R::Error>,
    events: usize,
    clock: &dyn Clock,
    _lock: &TrainingLock,
) -> Result<(), Failure> {
    let is_there = use_case.registry().standing().map_err(|error| Failure::Final(error.into()))?.active.is_some();
    if is_there {
        // Somebody else was faster: it is taken up by who follows that.
        say(use_case, "taking up the model that another process has trained", 0, None);
        tokio::time::sleep(LOOK).await;
        return if use_case.slot().model().is_some() {
            Ok(())
        } else {
            Err(Failure::Passing("it cannot be used".to_owned()))
        };
    }
    let topic = &dir.use_case.topic;
    tracing::info!(use_case = use_case.name(), topic, events, "waiting for the first events to train on");
    let mut reader = open().map_err(|error| Failure::Final(error.into()))?;
    let stage = format!("waiting for the first events of {topic}");
    let progress = |done, total| say(use_case, &stage, done, Some(total));
    let trained = train_from_topic(dir, &mut reader, Wanted::First(events), None, progress).await;
    let trained = trained.map_err(|error| match error.may_pass() {
        true => Failure::Passing(chain(&error)),
        false => Failure::Final(error.into()),
    })?;
    let source = format!("the first {events} events of {topic}");
    let provenance =
        Provenance { trained_at: clock.now().to_string(), source, rows_left_out: trained.left_out, quality: None };
    store(use_case, trained, provenance).await
}

/// Stores a model, and puts it in force.
async fn store(use_case: &ServedUseCase, trained: Trained, provenance: Provenance) -> Result<(), Failure> {
    let use_case = use_case.clone();
    let stored = spawn_blocking(move || {
        use_case.registry().save(&trained.model, provenance)?;
        use_case.registry().activate(trained.model.version(), None)?;
        let (version, rows) = (trained.model.version(), trained.model.trained_rows());
        tracing::info!(use_case = use_case.name(), %version, rows, left_out = trained.left_out, "model trained on the first events");
        use_case.slot().set(trained.model);
        Ok::<_, RegistryError>(())
    });
    let stored = stored.await.map_err(|panic| Failure::Final(panic.into()))?;
    stored.map_err(|error| Failure::Final(error.into()))
}

fn say(use_case: &ServedUseCase, stage: &str, done: u64, total: Option<u64>) {
    use_case.slot().progress(WarmUp { stage: stage.to_owned().into(), done, total });
}

fn fail(use_case: &ServedUseCase, error: &(dyn std::error::Error + 'static)) {
    let reason = chain(error);
    tracing::error!(use_case = use_case.name(), reason, "no model can be trained on the first events");
    use_case.slot().fail(format!("training on the first events failed: {reason}"));
}
