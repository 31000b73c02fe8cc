//! Services that live and stop together.

mod error;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use error::{BoxError, GroupError};

/// When a task is asked to stop: a stage is, once all tasks of the stages before it have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// What brings events in: stops first.
    Source,
    /// What turns events into results.
    Transform,
    /// What stores results: stops when nothing more can come.
    Sink,
    /// What is looked at from outside, health and metrics: stops last, so that a shutdown can be watched.
    Admin,
}

impl Stage {
    const ALL: [Self; 4] = [Self::Source, Self::Transform, Self::Sink, Self::Admin];
}

struct Task {
    name: &'static str,
    stage: Stage,
}

/// Tasks that stop stage by stage when one token is cancelled, and that cancel it when one of them fails or panics.
pub struct ServiceGroup {
    stop: CancellationToken,
    stages: BTreeMap<Stage, CancellationToken>,
    set: JoinSet<Result<(), BoxError>>,
    running: HashMap<Id, Task>,
}

impl std::fmt::Debug for ServiceGroup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServiceGroup").field("running", &self.names()).finish_non_exhaustive()
    }
}

impl ServiceGroup {
    /// An empty group that stops when `stop` is cancelled.
    #[must_use]
    pub fn new(stop: CancellationToken) -> Self {
        let stages = Stage::ALL.into_iter().map(|stage| (stage, CancellationToken::new())).collect();
        Self { stop, stages, set: JoinSet::new(), running: HashMap::new() }
    }

    /// The token that asks the tasks of `stage` to stop.
    #[must_use]
    pub fn token(&self, stage: Stage) -> CancellationToken {
        self.stages[&stage].clone()
    }

    /// Starts a task. It gets the token of its stage, or ends by itself when its input does.
    pub fn spawn<F, E>(&mut self, stage: Stage, name: &'static str, start: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        let task = start(self.token(stage));
        let handle = self.set.spawn(async move { task.await.map_err(Into::into) });
        self.running.insert(handle.id(), Task { name, stage });
    }

    /// Waits until all tasks have ended. Once the group is stopping, they have `deadline` to do so.
    ///
    /// A task that ends well before the stop is no failure. When every task but those of [`Stage::Admin`] has ended,
    /// these stop too.
    ///
    /// # Errors
    /// The first failure or panic, which stops the group; or, after `deadline`, the names of the tasks that were
    /// aborted.
    pub async fn join(mut self, deadline: Duration) -> Result<(), GroupError> {
        let mut failure = None;
        let mut ends_at = None;
        loop {
            self.stop_stages();
            if self.set.is_empty() {
                return failure.map_or(Ok(()), Err);
            }
            let is_stopping = ends_at.is_some();
            tokio::select! {
                Some(ended) = self.set.join_next_with_id() => if let Some(error) = self.ended(ended) {
                    self.stop.cancel();
                    keep_first(&mut failure, error);
                },
                () = self.stop.cancelled(), if !is_stopping => ends_at = Some(Instant::now() + deadline),
                () = sleep_until(ends_at), if is_stopping => {
                    let late = GroupError::Deadline { seconds: deadline.as_secs_f64(), running: self.names() };
                    self.set.shutdown().await;
                    keep_first(&mut failure, late);
                    return failure.map_or(Ok(()), Err);
                }
            }
        }
    }

    /// Asks every stage to stop whose turn it is.
    fn stop_stages(&self) {
        let first_running = self.running.values().map(|task| task.stage).min();
        let nothing_left = first_running.is_none_or(|stage| stage == Stage::Admin);
        if !(self.stop.is_cancelled() || nothing_left) {
            return;
        }
        for (stage, token) in &self.stages {
            if first_running.is_none_or(|first| *stage <= first) {
                token.cancel();
            }
        }
    }

    fn ended(&mut self, ended: Result<(Id, Result<(), BoxError>), JoinError>) -> Option<GroupError> {
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        let task = self.running.remove(&id).map_or("unknown", |task| task.name);
        match ended {
            Ok((_, Ok(()))) => {
                tracing::debug!(task, "ended");
                None
            }
            Ok((_, Err(source))) => Some(GroupError::Failed { task, source }),
            Err(error) => Some(GroupError::Panicked { task, message: panic_message(error) }),
        }
    }

    fn names(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.running.values().map(|task| task.name).collect();
        names.sort_unstable();
        names
    }
}

/// The first failure is the cause; later ones are mostly its consequences, so that they are logged and no more.
fn keep_first(first: &mut Option<GroupError>, error: GroupError) {
    match first {
        None => *first = Some(error),
        Some(_) => tracing::error!(error = &error as &dyn std::error::Error, "also failed while stopping"),
    }
}

async fn sleep_until(end: Option<Instant>) {
    match end {
        Some(end) => tokio::time::sleep_until(end).await,
        None => std::future::pending().await,
    }
}

fn panic_message(error: JoinError) -> String {
    let Ok(payload) = error.try_into_panic() else { return "it was aborted".to_owned() };
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload.downcast_ref::<&str>().map_or("no message", |text| text).to_owned(),
    }
}

#[cfg(test)]
mod tests;
