//! What is in the way of the processor's work.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pulse_runtime::Health;
use tokio_util::sync::CancellationToken;

/// A call that takes longer than this shows in the health.
const SLOW: Duration = Duration::from_secs(3);
/// How long a call may still take once waiting has become pointless: the last commit of a clean stop needs a moment.
const LAST: Duration = Duration::from_secs(3);

/// Where trouble shows, and what ends the waiting for its end. The processor is ready while there is none.
#[derive(Clone)]
pub(crate) struct Trouble {
    health: Health,
    /// Fires when waiting has become pointless.
    pub(crate) abort: CancellationToken,
    reasons: Arc<Mutex<Reasons>>,
}

#[derive(Default)]
struct Reasons {
    last: u64,
    standing: BTreeMap<u64, String>,
}

/// One thing that is in the way; no more, once dropped.
pub(crate) struct Obstacle {
    trouble: Trouble,
    number: u64,
}

impl Trouble {
    pub(crate) fn new(health: Health, abort: CancellationToken) -> Self {
        Self { health, abort, reasons: Arc::default() }
    }

    /// Whether anything is in the way.
    pub(crate) fn is_any(&self) -> bool {
        !self.reasons.lock().unwrap_or_else(PoisonError::into_inner).standing.is_empty()
    }

    /// Something is in the way.
    pub(crate) fn obstacle(&self, reason: impl Into<String>) -> Obstacle {
        let number = self.change(|reasons| {
            reasons.last += 1;
            reasons.standing.insert(reasons.last, reason.into());
            reasons.last
        });
        Obstacle { trouble: self.clone(), number }
    }

    /// Waits for `call`, and says so when it takes long. None when told to give up meanwhile.
    pub(crate) async fn patiently<T>(&self, what: &str, call: impl Future<Output = T>) -> Option<T> {
        let mut call = std::pin::pin!(call);
        let given_up = async {
            self.abort.cancelled().await;
            tokio::time::sleep(LAST).await;
        };
        let mut given_up = std::pin::pin!(given_up);
        let _slow = tokio::select! {
            biased;
            done = &mut call => return Some(done),
            () = &mut given_up => return None,
            () = tokio::time::sleep(SLOW) => self.obstacle(format!("{what} takes long")),
        };
        tokio::select! {
            biased;
            done = call => Some(done),
            () = given_up => None,
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut Reasons) -> T) -> T {
        let mut reasons = self.reasons.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = change(&mut reasons);
        // What came first is the cause more often than not. After the end nothing is ready any more.
        match reasons.standing.first_key_value() {
            Some((_, reason)) => self.health.set_not_ready(reason.clone()),
            None if !self.abort.is_cancelled() => self.health.set_ready(),
            None => {}
        }
        changed
    }
}

impl Obstacle {
    /// It is still in the way, for another reason.
    pub(crate) fn becomes(&self, reason: String) {
        self.trouble.change(|reasons| reasons.standing.insert(self.number, reason));
    }
}

impl Drop for Obstacle {
    fn drop(&mut self) {
        self.trouble.change(|reasons| reasons.standing.remove(&self.number));
    }
}

impl fmt::Debug for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trouble").field("health", &self.health).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_ready_when_nothing_is_in_the_way_any_more() {
        let (health, abort) = (Health::starting("starting"), CancellationToken::new());
        let trouble = Trouble::new(health.clone(), abort.clone());
        let first = trouble.obstacle("first");
        let second = trouble.obstacle("second");
        assert_eq!(health.reason().as_deref(), Some("first"));
        drop(first);
        assert_eq!(health.reason().as_deref(), Some("second"));
        second.becomes("other".to_owned());
        assert_eq!(health.reason().as_deref(), Some("other"));
        drop(second);
        assert!(health.is_ready());
        let last = trouble.obstacle("broken");
        abort.cancel();
        drop(last);
        assert_eq!(health.reason().as_deref(), Some("broken"), "what ends is not ready");
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_call_shows_and_can_be_given_up() {
        let (health, abort) = (Health::starting("starting"), CancellationToken::new());
        let trouble = Trouble::new(health.clone(), abort.clone());
        let waiting = tokio::spawn(async move { trouble.patiently("a commit", std::future::pending::<()>()).await });
        tokio::time::sleep(2 * SLOW).await;
        assert_eq!(health.reason().as_deref(), Some("a commit takes long"));
        abort.cancel();
        assert_eq!(waiting.await.unwrap(), None);
    }
}
