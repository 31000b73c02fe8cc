//! Where the model in force stands, or how far the way to it is.

use std::borrow::Cow;
use std::sync::Arc;

use pulse_scoring::Model;
use serde::Serialize;
use tokio::sync::watch;

/// How far warm-up is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WarmUp {
    /// What is being done, or why it failed.
    pub stage: Cow<'static, str>,
    /// Rows done.
    pub done: u64,
    /// Rows to do; none where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

/// A model, or the way to it.
#[derive(Debug, Clone)]
pub enum ModelState {
    /// There is no model yet.
    WarmingUp(WarmUp),
    /// There is none, and nobody is at work on it.
    Failed(WarmUp),
    /// The model in force.
    Ready(Arc<Model>),
}

/// The place of the model of one use case. Clones share it: training fills it, requests read it.
#[derive(Debug, Clone)]
pub struct ModelSlot(Arc<watch::Sender<ModelState>>);

impl ModelSlot {
    /// A slot without a model, where `stage` says what is waited for.
    #[must_use]
    pub fn warming_up(stage: impl Into<Cow<'static, str>>) -> Self {
        let warm_up = WarmUp { stage: stage.into(), done: 0, total: None };
        Self(Arc::new(watch::Sender::new(ModelState::WarmingUp(warm_up))))
    }

    /// A slot with a model.
    #[must_use]
    pub fn ready(model: Arc<Model>) -> Self {
        Self(Arc::new(watch::Sender::new(ModelState::Ready(model))))
    }

    /// Tells how far warm-up is. A model that is in force stays so.
    pub fn progress(&self, warm_up: WarmUp) {
        self.update(ModelState::WarmingUp(warm_up));
    }

    /// Tells why there will be no model. A model that is in force stays so.
    pub fn fail(&self, reason: impl Into<Cow<'static, str>>) {
        self.update(ModelState::Failed(WarmUp { stage: reason.into(), done: 0, total: None }));
    }

    /// Puts `model` in force.
    pub fn set(&self, model: Arc<Model>) {
        self.0.send_replace(ModelState::Ready(model));
    }

    /// The state now.
    #[must_use]
    pub fn state(&self) -> ModelState {
        self.0.borrow().clone()
    }

    /// The model in force.
    #[must_use]
    pub fn model(&self) -> Option<Arc<Model>> {
        match &*self.0.borrow() {
            ModelState::Ready(model) => Some(Arc::clone(model)),
            ModelState::WarmingUp(_) | ModelState::Failed(_) => None,
        }
    }

    /// Waits until there is a model.
    pub async fn wait(&self) {
        let mut changes = self.0.subscribe();
        // The sender lives as long as `self`, so that the only outcome is that there is a model.
        drop(changes.wait_for(|state| matches!(state, ModelState::Ready(_))).await);
    }

    fn update(&self, state: ModelState) {
        self.0.send_if_modified(|current| {
            let changes = !matches!(current, ModelState::Ready(_));
            if changes {
                *current = state;
            }
            changes
        });
    }
}
