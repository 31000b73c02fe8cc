//! The `ml-service` binary: loads or trains the models of its use cases, and answers over HTTP how unusual an event is.

use std::process::ExitCode;

use anyhow::Context as _;
use pulse_features::UseCaseDir;
use pulse_ml_service::{Management, MlService, ModelSlot, ServedUseCase, follow, load_or_train};
use pulse_runtime::{Health, Service, Stage, Starting, chain};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const SERVICE: Service = Service {
    name: "ml-service",
    about: "Serves the models of its use cases, and answers over HTTP how unusual an event is and why.",
    listen: |listen| listen.ml_service,
    port: "ml_service.port",
};

fn main() -> ExitCode {
    SERVICE.main(start)
}

async fn start(starting: &mut Starting) -> anyhow::Result<()> {
    let settings = starting.settings.ml_service();
    let mut served = Vec::new();
    let mut to_train = Vec::new();
    for name in starting.settings.served_use_cases() {
        let dir = UseCaseDir::load(starting.settings.usecases(), name)?;
        let use_case = ServedUseCase::new(&dir, dir.sample()?.as_ref(), ModelSlot::warming_up("reading the sample"))?;
        served.push(use_case.clone());
        to_train.push((dir, use_case));
    }
    let health = starting.health.clone();
    health.set_not_ready("training the model");
    let management = settings.token.clone().map_or(Management::Open, Management::Token);
    let service = MlService::new(served, settings.into(), management, starting.registry.clone(), health.clone())?;
    starting.routes.set(service.router());
    starting.group.spawn(Stage::Transform, "models", |stop| models(to_train, health, stop));
    Ok(())
}

/// Loads or trains the models, and follows which ones are in force. Where there can be none, the service says so to whoever asks,
/// which is all that is wanted of it. A stop overtakes it: nothing is lost, as the next start trains anew.
async fn models(
    to_train: Vec<(UseCaseDir, ServedUseCase)>,
    health: Health,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut following = JoinSet::new();
    for (dir, use_case) in to_train {
        let slot = use_case.slot().clone();
        let training = tokio::task::spawn_blocking(move || load_or_train(&dir, &slot));
        let trained = tokio::select! {
            trained = training => trained,
            () = stop.cancelled() => return Ok(()),
        };
        if let Err(error) = trained.context("training panicked")? {
            let (use_case, reason) = (use_case.name(), chain(&error));
            tracing::warn!(use_case, reason, "there is no model: /predict answers 503");
        }
        following.spawn(follow(use_case, stop.clone()));
    }
    health.set_ready();
    following.join_all().await;
    Ok(())
}
