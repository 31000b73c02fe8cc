//! The `ml-service` binary: trains the model of the use case, and answers over HTTP how unusual an event is.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use pulse_features::UseCaseDir;
use pulse_ml_service::{Limits, Management, MlService, ModelSlot, Registry, ServedUseCase, follow, load_or_train};
use pulse_runtime::{Health, Service, Stage, Starting, chain};
use tokio_util::sync::CancellationToken;

const SERVICE: Service = Service {
    name: "ml-service",
    about: "Trains the model of the use case, and answers over HTTP how unusual an event is and why.",
    listen: |listen| listen.ml_service,
    port: "ml_service.port",
};

fn main() -> ExitCode {
    SERVICE.main(start)
}

async fn start(starting: &mut Starting) -> anyhow::Result<()> {
    let (usecases, name) = (starting.settings.usecases(), starting.settings.use_case());
    let dir = Arc::new(UseCaseDir::load(usecases, name)?);
    let slot = ModelSlot::warming_up("reading the sample");
    let served = ServedUseCase::new(&dir, dir.sample()?.as_ref(), slot.clone())?;
    let health = starting.health.clone();
    health.set_not_ready("training the model");
    let management = match starting.settings.ml_service_token() {
        Some(token) => Management::Token(token.clone()),
        None => Management::Open,
    };
    let registry = served.registry().clone();
    let service =
        MlService::new(vec![served], Limits::default(), management, starting.registry.clone(), health.clone())?;
    starting.routes.set(service.router());
    starting.group.spawn(Stage::Transform, "training", |stop| train(dir, slot, registry, health, stop));
    Ok(())
}

/// Loads or trains the model, and follows which one is in force. Where there can be none, the service says so to whoever asks, which
/// is all that is wanted of it. A stop overtakes it: nothing is lost, as the next start trains anew.
async fn train(
    dir: Arc<UseCaseDir>,
    slot: ModelSlot,
    registry: Registry,
    health: Health,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let training = tokio::task::spawn_blocking({
        let slot = slot.clone();
        move || load_or_train(&dir, &slot)
    });
    let trained = tokio::select! {
        trained = training => trained,
        () = stop.cancelled() => return Ok(()),
    };
    if let Err(error) = trained.context("training panicked")? {
        tracing::warn!(reason = chain(&error), "there is no model: /predict answers 503");
    }
    health.set_ready();
    follow(registry, slot, stop).await;
    Ok(())
}
