//! Where the model in force stands, or how far the way to it is.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

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

impl ModelState {
    fn model(&self) -> Option<&Arc<Model>> {
        match self {
            Self::Ready(model) => Some(model),
            Self::WarmingUp(_) | Self::Failed(_) => None,
        }
    }
}

/// The place of the model of one use case. Clones share it: training fills it, requests read it.
#[derive(Debug, Clone)]
pub struct ModelSlot(Arc<watch::Sender<Slot>>);

#[derive(Debug)]
struct Slot {
    state: ModelState,
    /// The model that was in force before, and until when.
    before: Option<(Arc<Model>, Instant)>,
    /// Whether nobody need wait for a model.
    optional: bool,
}

impl ModelSlot {
    /// A slot without a model, where `stage` says what is waited for.
    #[must_use]
    pub fn warming_up(stage: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ModelState::WarmingUp(WarmUp { stage: stage.into(), done: 0, total: None }))
    }

    /// A slot with a model.
    #[must_use]
    pub fn ready(model: Arc<Model>) -> Self {
        Self::new(ModelState::Ready(model))
    }

    fn new(state: ModelState) -> Self {
        Self(Arc::new(watch::Sender::new(Slot { state, before: None, optional: false })))
    }

    /// Tells how far warm-up is. A model that is in force stays so.
    pub fn progress(&self, warm_up: WarmUp) {
        self.update(ModelState::WarmingUp(warm_up));
    }

    /// Says that a model will come, but in its own time: who has other ways need not wait for it.
    pub fn make_optional(&self) {
        self.0.send_modify(|slot| slot.optional = true);
    }

    /// Whether nobody need wait for a model.
    #[must_use]
    pub fn is_optional(&self) -> bool {
        self.0.borrow().optional
    }

    /// Tells why there will be no model. A model that is in force stays so.
    pub fn fail(&self, reason: impl Into<Cow<'static, str>>) {
        self.update(ModelState::Failed(WarmUp { stage: reason.into(), done: 0, total: None }));
    }

    /// Puts `model` in force. The one before stays for those who [named](Self::version) it before.
    pub fn set(&self, model: Arc<Model>) {
        self.0.send_modify(|slot| {
            let before = std::mem::replace(&mut slot.state, ModelState::Ready(Arc::clone(&model)));
            if let ModelState::Ready(before) = before
                && before.version() != model.version()
            {
                slot.before = Some((before, Instant::now()));
            }
        });
    }

    /// The state now.
    #[must_use]
    pub fn state(&self) -> ModelState {
        self.0.borrow().state.clone()
    }

    /// The model in force.
    #[must_use]
    pub fn model(&self) -> Option<Arc<Model>> {
        self.0.borrow().state.model().cloned()
    }

    /// The model of this version, if it is in force, or was at the time `asked_at`: whoever named it before the last switch is
    /// still answered by it, and whoever does so later learns that it is another one now.
    #[must_use]
    pub fn version(&self, version: &str, asked_at: Instant) -> Option<Arc<Model>> {
        let slot = self.0.borrow();
        let before = slot.before.as_ref().filter(|(_, until)| asked_at <= *until).map(|(model, _)| model);
        slot.state.model().into_iter().chain(before).find(|model| **model.version() == *version).cloned()
    }

    /// Waits until there is a model.
    pub async fn wait(&self) {
        let mut changes = self.0.subscribe();
        // The sender lives as long as `self`, so that the only outcome is that there is a model.
        drop(changes.wait_for(|slot| matches!(slot.state, ModelState::Ready(_))).await);
    }

    fn update(&self, state: ModelState) {
        self.0.send_if_modified(|slot| {
            let changes = !matches!(slot.state, ModelState::Ready(_));
            if changes {
                slot.state = state;
            }
            changes
        });
    }
}
