//! The first model of a use case that has neither a model nor a sample: trained on the first events of its topic.
//!
//! Every process waits for the events; whoever has them first and gets the lock on the folder of models trains, and puts the
//! model in force unless there is one by then. The others [follow](crate::follow) that, so that all have the same model. Nobody
//! who trains or chooses one by hand meanwhile is held up or overridden.

use std::time::Duration;

use pulse_core::ports::{Clock, TopicReader};
use pulse_features::UseCaseDir;
use tokio::task::spawn_blocking;

use crate::model_slot::WarmUp;
use crate::registry::{Provenance, Registry, RegistryError, TrainingLock};
use crate::served::ServedUseCase;
use crate::training::{Gathered, Reached, TopicError, Trained, chain, gather_first, grow};

/// How often it is looked whether somebody else is done with training.
const LOOK: Duration = Duration::from_secs(1);

/// Trains the model of `use_case`, which is that of `dir`, on the first `events` valid events of its topic, as soon as they have come, and
/// puts it in force. `open` opens the topic. What may pass is waited for; what does not is said in the log and to whoever asks.
/// Ends when there is a model, from wherever, or will be none.
pub async fn train_first_model<R: TopicReader>(
    dir: &UseCaseDir,
    use_case: &ServedUseCase,
    open: impl FnOnce() -> Result<R, R::Error>,
    events: usize,
    clock: &dyn Clock,
) {
    tracing::info!(
        use_case = use_case.name(),
        topic = dir.use_case.topic,
        events,
        "waiting for the first events to train on"
    );
    say(use_case, format!("waiting for the first events of {}", dir.use_case.topic), 0, Some(events as u64));
    tokio::select! {
        // By hand, or by another process.
        () = use_case.slot().wait() => {}
        trained = train(dir, use_case, open, events, clock) => if let Err(error) = trained {
            let reason = chain(&*error);
            tracing::error!(use_case = use_case.name(), reason, "no model can be trained on the first events");
            use_case.slot().fail(format!("training on the first events failed: {reason}"));
        },
    }
}

type AnyError = Box<dyn std::error::Error + Send + Sync>;

async fn train<R: TopicReader>(
    dir: &UseCaseDir,
    use_case: &ServedUseCase,
    open: impl FnOnce() -> Result<R, R::Error>,
    events: usize,
    clock: &dyn Clock,
) -> Result<(), AnyError> {
    let mut reader = open().map_err(TopicError::<R::Error>::Read)?;
    let topic = &dir.use_case.topic;
    let progress = |reached: Reached<'_>| {
        let left_out = match reached.first_fault {
            Some(fault) => format!("; {} were not valid, the first: {fault}", reached.left_out),
            None => String::new(),
        };
        say(use_case, format!("waiting for the first events of {topic}{left_out}"), reached.done, Some(reached.total));
    };
    let gathered = gather_first(dir, &mut reader, events, progress).await?;
    let source = format!("the first {events} events of {topic}");
    let lock = lock(use_case).await?;
    let (dir, grown_for, trained_at) = (dir.clone(), use_case.clone(), clock.now().to_string());
    let stored = spawn_blocking(move || grow_and_store(&dir, &grown_for, gathered, source, trained_at, lock));
    stored.await??;
    // Where another one was put in force first, that is taken up.
    use_case.slot().wait().await;
    Ok(())
}

/// The right to train, once nobody else has it.
async fn lock(use_case: &ServedUseCase) -> Result<TrainingLock, AnyError> {
    loop {
        let registry = use_case.registry().clone();
        match spawn_blocking(move || registry.lock()).await? {
            Err(RegistryError::Locked { .. }) => {
                say(use_case, "another process trains the model".to_owned(), 0, None);
                tokio::time::sleep(LOOK).await;
            }
            locked => return Ok(locked?),
        }
    }
}

/// Grows a forest where no model is in force by now. The lock is held to the end, also where nobody waits for that.
fn grow_and_store(
    dir: &UseCaseDir,
    use_case: &ServedUseCase,
    gathered: Gathered,
    source: String,
    trained_at: String,
    _lock: TrainingLock,
) -> Result<(), AnyError> {
    let registry = use_case.registry();
    if registry.standing()?.active.is_none() {
        store(registry, use_case, grow(dir, gathered)?, source, trained_at)?;
    }
    Ok(())
}

/// Stores a model, and puts it in force where none is.
fn store(
    registry: &Registry,
    use_case: &ServedUseCase,
    trained: Trained,
    source: String,
    trained_at: String,
) -> Result<(), RegistryError> {
    let Trained { model, left_out, .. } = trained;
    registry.save(&model, Provenance { trained_at, source, rows_left_out: left_out, quality: None })?;
    if registry.activate_first(model.version())? {
        let (version, rows) = (model.version(), model.trained_rows());
        tracing::info!(use_case = use_case.name(), %version, rows, left_out, "model trained on the first events");
        use_case.slot().set(model);
    }
    Ok(())
}

fn say(use_case: &ServedUseCase, stage: String, done: u64, total: Option<u64>) {
    use_case.slot().progress(WarmUp { stage: stage.into(), done, total });
}
