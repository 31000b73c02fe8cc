//! Whether a service is ready for work.

use std::borrow::Cow;
use std::sync::Arc;

use tokio::sync::watch;

/// The readiness of one service. Clones share it: the service sets it, `/ready` shows it.
#[derive(Debug, Clone)]
pub struct Health {
    /// What is waited for; none when ready.
    waiting_for: Arc<watch::Sender<Option<Cow<'static, str>>>>,
}

impl Health {
    /// A service that is not ready yet, because of `reason`, as in `waiting for the model`.
    #[must_use]
    pub fn starting(reason: impl Into<Cow<'static, str>>) -> Self {
        Self { waiting_for: Arc::new(watch::Sender::new(Some(reason.into()))) }
    }

    /// The service can do its work from now on.
    pub fn set_ready(&self) {
        self.set(None);
    }

    /// The service cannot do its work at present, because of `reason`.
    pub fn set_not_ready(&self, reason: impl Into<Cow<'static, str>>) {
        self.set(Some(reason.into()));
    }

    /// Whether the service can do its work.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.waiting_for.borrow().is_none()
    }

    /// Why the service is not ready; none when it is.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        self.waiting_for.borrow().as_deref().map(str::to_owned)
    }

    /// Waits until the service is ready.
    pub async fn ready(&self) {
        let mut changes = self.waiting_for.subscribe();
        // The sender is alive as long as `self` is, so that the only outcome is that it became ready.
        drop(changes.wait_for(Option::is_none).await);
    }

    fn set(&self, value: Option<Cow<'static, str>>) {
        self.waiting_for.send_if_modified(|current| {
            let changed = *current != value;
            *current = value;
            changed
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_clone_sees_every_change() {
        let health = Health::starting("waiting for the model");
        let seen = health.clone();
        assert_eq!(seen.reason().as_deref(), Some("waiting for the model"));
        health.set_ready();
        seen.ready().await;
        assert!(seen.is_ready());
        health.set_not_ready("the log is away");
        assert_eq!(seen.reason().as_deref(), Some("the log is away"));
    }

    #[tokio::test]
    async fn waiting_ends_when_it_becomes_ready() {
        let health = Health::starting("waiting for the model");
        let waiting = tokio::spawn({
            let health = health.clone();
            async move { health.ready().await }
        });
        health.set_ready();
        waiting.await.unwrap();
    }
}
