//! Following which stored version is in force, for somebody else may change that: a command line, or another replica.

use std::sync::Arc;
use std::time::Duration;

use pulse_scoring::Model;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::model_slot::ModelSlot;
use crate::registry::Registry;
use crate::training::chain;

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(1);

/// Puts into `slot` whatever version of `registry` is in force, until `stop`. While that cannot be used, the model that was there
/// stays, and each reason is said once.
pub async fn follow(registry: Registry, slot: ModelSlot, stop: CancellationToken) {
    let mut said = String::new();
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => return,
        }
        let (registry, in_force) = (registry.clone(), slot.model());
        let looked = tokio::task::spawn_blocking(move || another(&registry, in_force.as_deref())).await;
        match looked.unwrap_or_else(|panic| Err(panic.to_string())) {
            Ok(None) => said.clear(),
            Ok(Some(model)) => {
                tracing::info!(version = %model.version(), "another model is in force");
                slot.set(Arc::new(model));
            }
            Err(reason) if reason == said => {}
            Err(reason) => {
                tracing::error!(reason, "a model that was put in force cannot be used");
                said = reason;
            }
        }
    }
}

/// The model that is to be in force, where that is another one than `in_force`.
fn another(registry: &Registry, in_force: Option<&Model>) -> Result<Option<Model>, String> {
    let Some(version) = registry.active_version().map_err(|error| chain(&error))? else { return Ok(None) };
    if in_force.is_some_and(|model| **model.version() == version) {
        return Ok(None);
    }
    registry.load_after(&version, in_force).map(Some).map_err(|error| chain(&error))
}
