//! The `ml-service` binary: loads or trains the models of its use cases, and answers over HTTP how unusual an event is.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use pulse_backends::kafka_settings;
use pulse_core::ports::Clock;
use pulse_features::UseCaseDir;
use pulse_kafka::{KafkaReader, KafkaSettings};
use pulse_ml_service::{
    Management, MlService, ModelSlot, ServedUseCase, TrainingError, follow, load_or_train, train_first_model,
};
use pulse_runtime::{Health, Service, Stage, Starting, Uses, chain};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const SERVICE: Service = Service {
    name: "ml-service",
    about: "Serves the models of its use cases, and answers over HTTP how unusual an event is and why.",
    listen: |listen| listen.ml_service,
    port: "ml_service.port",
    // Kafka: for use cases that have neither a model nor a sample.
    uses: &[Uses::ModelToken, Uses::Kafka],
};

fn main() -> ExitCode {
    SERVICE.main(start)
}

async fn start(starting: &mut Starting) -> anyhow::Result<()> {
    let settings = starting.settings.ml_service();
    let mut served = Vec::new();
    let mut to_train = Vec::new();
    for name in starting.settings.served_use_cases() {
        let dir = UseCaseDir::load(starting.settings.usecases(), name)?.with_models_in(starting.settings.models());
        let use_case = ServedUseCase::new(&dir, dir.sample()?.as_ref(), ModelSlot::warming_up("reading the sample"))?;
        served.push(use_case.clone());
        to_train.push((dir, use_case));
    }
    let health = starting.health.clone();
    health.set_not_ready("training the model");
    let management = settings.token.clone().map_or(Management::Open, Management::Token);
    let service = MlService::new(served, settings.into(), management, starting.registry.clone(), health.clone())?;
    starting.routes.set(service.router());
    let first = FirstModels {
        kafka: kafka_settings(starting.settings.kafka()),
        events: starting.settings.ml_service().training_events,
        clock: Arc::clone(&starting.clock),
    };
    starting.group.spawn(Stage::Transform, "models", |stop| models(to_train, first, health, stop));
    Ok(())
}

/// How models are trained where there is nothing but the topic.
#[derive(Clone)]
struct FirstModels {
    kafka: KafkaSettings,
    events: usize,
    clock: Arc<dyn Clock>,
}

/// Loads or trains the models, and follows which ones are in force. Where there can be none, the service says so to whoever asks,
/// which is all that is wanted of it. A stop overtakes it: nothing is lost, as the next start trains anew.
async fn models(
    to_train: Vec<(UseCaseDir, ServedUseCase)>,
    first: FirstModels,
    health: Health,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut following = JoinSet::new();
    for (dir, use_case) in to_train {
        let (slot, of) = (use_case.slot().clone(), dir.clone());
        let training = tokio::task::spawn_blocking(move || load_or_train(&of, &slot));
        let trained = tokio::select! {
            trained = training => trained,
            () = stop.cancelled() => return Ok(()),
        };
        following.spawn(follow(use_case.clone(), stop.clone()));
        match trained.context("training panicked")? {
            Ok(_) => {}
            Err(TrainingError::NoSample(_)) => {
                // Else processors go on by their other detectors until they can take it up.
                if !dir.use_case.detectors.need_a_model() {
                    use_case.slot().make_optional();
                }
                let (first, stop) = (first.clone(), stop.clone());
                following.spawn(async move {
                    // Given up, the next start begins anew.
                    stop.run_until_cancelled(first_model(dir, use_case, first)).await;
                });
            }
            Err(error) => {
                let reason = chain(&error);
                tracing::warn!(use_case = use_case.name(), reason, "there is no model: /predict answers 503");
                use_case.slot().fail(reason);
            }
        }
    }
    health.set_ready();
    following.join_all().await;
    Ok(())
}

async fn first_model(dir: UseCaseDir, use_case: ServedUseCase, first: FirstModels) {
    let FirstModels { kafka, events, clock } = first;
    let open = || KafkaReader::new(&kafka, &dir.use_case.topic).map(KafkaReader::patient);
    train_first_model(&dir, &use_case, open, events, &*clock).await;
}
