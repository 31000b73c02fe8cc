//! Following which stored versions are in force and in the shadow, for somebody else may change that: a command line, or another
//! replica.

use std::sync::Arc;
use std::time::Duration;

use pulse_scoring::Model;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::registry::Standing;
use crate::served::ServedUseCase;
use crate::training::chain;

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(1);

/// Puts in force whatever version of the use case is to be, and lets its candidate score beside it, until `stop`. While a version
/// cannot be used, what was there stays, and each reason is said once.
pub async fn follow(use_case: ServedUseCase, stop: CancellationToken) {
    tokio::join!(look(&use_case, &stop), use_case.shadow().work(&stop));
}

async fn look(use_case: &ServedUseCase, stop: &CancellationToken) {
    let mut said = [String::new(), String::new()];
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => return,
        }
        let looking = use_case.clone();
        let looked = tokio::task::spawn_blocking(move || take_up(&looking)).await;
        let outcomes = looked.unwrap_or_else(|panic| [Err(panic.to_string()), Ok(())]);
        for (outcome, said) in outcomes.into_iter().zip(&mut said) {
            match outcome {
                Ok(()) => said.clear(),
                Err(reason) if reason == *said => {}
                Err(reason) => {
                    let use_case = use_case.name();
                    tracing::error!(
                        use_case,
                        reason,
                        "a model that was put in force, or is a candidate, cannot be used"
                    );
                    *said = reason;
                }
            }
        }
    }
}

/// Takes up what stands: the version in force, and the candidate.
fn take_up(use_case: &ServedUseCase) -> [Result<(), String>; 2] {
    let _change = use_case.changing();
    match use_case.registry().standing() {
        Ok(Standing { active, candidate }) => [
            active.map_or(Ok(()), |version| take_up_active(use_case, &version)),
            take_up_candidate(use_case, candidate.as_deref()),
        ],
        Err(error) => [Err(chain(&error)), Ok(())],
    }
}

fn take_up_active(use_case: &ServedUseCase, version: &str) -> Result<(), String> {
    let in_force = use_case.slot().model();
    if in_force.as_ref().is_some_and(|model| **model.version() == *version) {
        return Ok(());
    }
    let model = load(use_case, version, in_force.as_deref())?;
    tracing::info!(use_case = use_case.name(), version, "another model is in force");
    use_case.slot().set(model);
    Ok(())
}

fn take_up_candidate(use_case: &ServedUseCase, version: Option<&str>) -> Result<(), String> {
    let shadow = use_case.shadow();
    if shadow.version().as_deref() == version {
        return Ok(());
    }
    let in_force = use_case.slot().model();
    let candidate = version.map(|version| load(use_case, version, in_force.as_deref())).transpose();
    if let Ok(Some(candidate)) = &candidate {
        tracing::info!(use_case = use_case.name(), version = %candidate.version(), "a candidate scores beside the model in force");
    }
    // One that cannot be used takes the place of the one before, too: nobody is misled by its figures.
    let (candidate, reason) = candidate.map_or_else(|reason| (None, Err(reason)), |candidate| (candidate, Ok(())));
    shadow.set(candidate).map_err(|error| chain(&error)).and(reason)
}

fn load(use_case: &ServedUseCase, version: &str, in_force: Option<&Model>) -> Result<Arc<Model>, String> {
    use_case.registry().load_after(version, in_force).map(Arc::new).map_err(|error| chain(&error))
}
