//! Whether brokers are there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Brokers that do not answer are worth an error after this time.
const AWAY: Duration = Duration::from_secs(3);

/// Says whether a client is connected to any broker.
#[derive(Debug, Clone)]
pub struct Link(Arc<AtomicBool>);

impl Link {
    pub(crate) fn new() -> Self {
        // Until the contrary is known, after a second.
        Self(Arc::new(AtomicBool::new(true)))
    }

    /// Whether any broker is connected.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, up: bool) {
        self.0.store(up, Ordering::Relaxed);
    }
}

/// Notices when brokers have been away for some time.
#[derive(Debug)]
pub(crate) struct Absence {
    link: Link,
    /// Since when no broker is connected.
    since: Option<Instant>,
}

impl Absence {
    /// What `link` shows.
    pub(crate) fn of(link: Link) -> Self {
        Self { link, since: None }
    }

    /// Something came.
    pub(crate) fn ends(&mut self) {
        self.since = None;
    }

    /// Whether no broker has been there for so long that it is worth an error; to be asked again and again.
    pub(crate) fn is_long(&mut self) -> bool {
        if self.link.is_up() {
            self.since = None;
            return false;
        }
        self.since.get_or_insert_with(Instant::now).elapsed() >= AWAY
    }
}
