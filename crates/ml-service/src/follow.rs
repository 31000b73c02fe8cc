//! Following which stored version is in force, for somebody else may change that: a command line, or another replica.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::model_slot::ModelSlot;
use crate::registry::Registry;
use crate::training::chain;

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(1);

/// Puts into `slot` whatever version of `registry` is in force, until `stop`. What cannot be used is said once, and the model that
/// was there stays.
pub async fn follow(registry: Registry, slot: ModelSlot, stop: CancellationToken) {
    let mut seen: Option<String> = slot.model().map(|model| model.version().to_string());
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => return,
        }
        // A folder that is away for a moment changes nothing.
        let Ok(Some(version)) = registry.active_version() else { continue };
        // This process may have put it in force itself.
        let is_there = slot.model().is_some_and(|model| **model.version() == version);
        if is_there || seen.as_ref() == Some(&version) {
            seen = Some(version);
            continue;
        }
        let (of, wanted) = (registry.clone(), version.clone());
        let loaded = tokio::task::spawn_blocking(move || of.load(&wanted)).await;
        match loaded {
            Ok(Ok(model)) => {
                tracing::info!(version, before = seen, "another model is in force");
                slot.set(Arc::new(model));
            }
            Ok(Err(error)) => {
                tracing::error!(version, reason = chain(&error), "a model that was put in force cannot be used");
            }
            // The process ends.
            Err(_) => return,
        }
        seen = Some(version);
    }
}
