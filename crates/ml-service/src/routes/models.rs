//! `/health` and `/models`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use pulse_runtime::Secret;
use pulse_scoring::{Model, ModelInfo};
use serde::Serialize;
use tokio::task::spawn_blocking;

use crate::model_slot::{ModelState, WarmUp};
use crate::problem::Problem;
use crate::registry::{Provenance, Registry, RegistryError, Version};
use crate::served::ServedUseCase;
use crate::service::{Management, MlService};

/// What `/health` says of the use case that is meant when none is named.
#[derive(Debug, Serialize)]
pub(super) struct HealthReport {
    status: &'static str,
    use_case: String,
    use_cases: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trained_rows: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    threshold: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warm_up: Option<WarmUp>,
}

#[derive(Debug, Serialize)]
pub(super) struct Models {
    models: Vec<ListedModel>,
}

#[derive(Debug, Serialize)]
pub(super) struct ListedModel {
    use_case: String,
    active: bool,
    /// Whether it is there after a restart, and can be gone back to.
    stored: bool,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    provenance: Option<Provenance>,
    #[serde(flatten)]
    info: ModelInfo,
}

/// The service is healthy without a model, too, and says so.
pub(super) async fn health(State(service): State<MlService>) -> Json<HealthReport> {
    let use_case = service.first();
    let (status, model, warm_up) = match use_case.slot().state() {
        ModelState::Ready(model) => ("ready", Some(model), None),
        ModelState::WarmingUp(warm_up) => ("warming_up", None, Some(warm_up)),
        ModelState::Failed(warm_up) => ("failed", None, Some(warm_up)),
    };
    Json(HealthReport {
        status,
        use_case: use_case.name().to_owned(),
        use_cases: service.use_cases().iter().map(|use_case| use_case.name().to_owned()).collect(),
        model_version: model.as_ref().map(|model| model.version().to_string()),
        trained_rows: model.as_ref().map(|model| model.trained_rows()),
        threshold: model.as_ref().map(|model| model.threshold()),
        warm_up,
    })
}

pub(super) async fn list(State(service): State<MlService>) -> Result<Json<Models>, Problem> {
    let use_cases = service.use_cases().to_vec();
    let listed = spawn_blocking(move || use_cases.iter().map(list_one).collect::<Result<Vec<_>, _>>()).await;
    let listed = listed.map_err(|error| Problem::internal(error.to_string()))??;
    Ok(Json(Models { models: listed.into_iter().flatten().collect() }))
}

/// The stored versions of a use case, and the one in force where that is not stored.
fn list_one(use_case: &ServedUseCase) -> Result<Vec<ListedModel>, Problem> {
    let in_force = use_case.slot().model();
    let use_case_name = || use_case.name().to_owned();
    let mut listed: Vec<ListedModel> = Vec::new();
    for Version { metadata, .. } in use_case.registry().list().map_err(Problem::of_registry)? {
        let active = in_force.as_ref().is_some_and(|model| **model.version() == metadata.model.info.version);
        let (info, provenance) = (metadata.model.info, Some(metadata.provenance));
        listed.push(ListedModel { use_case: use_case_name(), active, stored: true, provenance, info });
    }
    if let Some(model) = in_force.filter(|_| !listed.iter().any(|listed| listed.active)) {
        let info = model.info().clone();
        let model = ListedModel { use_case: use_case_name(), active: true, stored: false, provenance: None, info };
        listed.insert(0, model);
    }
    Ok(listed)
}

pub(super) async fn activate(
    State(service): State<MlService>,
    Path((use_case, version)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Json<ListedModel>, Problem> {
    manage(&service, &use_case, &headers, move |registry, in_force| registry.activate(&version, in_force)).await
}

pub(super) async fn roll_back(
    State(service): State<MlService>,
    Path(use_case): Path<String>,
    headers: HeaderMap,
) -> Result<Json<ListedModel>, Problem> {
    manage(&service, &use_case, &headers, Registry::roll_back).await
}

/// Puts in force what `choose` yields, if the caller may do that. Requests under way are answered by the model that they began with.
async fn manage(
    service: &MlService,
    use_case: &str,
    headers: &HeaderMap,
    choose: impl FnOnce(&Registry, Option<&Model>) -> Result<Model, RegistryError> + Send + 'static,
) -> Result<Json<ListedModel>, Problem> {
    match service.management() {
        Management::Fixed => return Err(Problem::fixed_model()),
        Management::Open => {}
        Management::Token(token) if presents(headers, token) => {}
        Management::Token(_) => return Err(Problem::unauthorized()),
    }
    let use_case = service.use_case(use_case)?.clone();
    let chosen = spawn_blocking(move || {
        let in_force = use_case.slot().model();
        let model = Arc::new(choose(use_case.registry(), in_force.as_deref()).map_err(Problem::of_registry)?);
        use_case.slot().set(Arc::clone(&model));
        tracing::info!(use_case = use_case.name(), version = %model.version(), "another model is in force, as was asked for");
        let (use_case, info) = (use_case.name().to_owned(), model.info().clone());
        Ok(Json(ListedModel { use_case, active: true, stored: true, provenance: None, info }))
    });
    chosen.await.map_err(|error| Problem::internal(error.to_string()))?
}

/// Whether a request bears `token`. How long that takes says nothing of how much of it is right.
fn presents(headers: &HeaderMap, token: &Secret) -> bool {
    let borne = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let borne = borne.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let borne = borne.map_or("", |(_, token)| token).as_bytes();
    let token = token.expose().as_bytes();
    let differs = borne.iter().zip(token).fold(0, |differs, (a, b)| differs | (a ^ b));
    borne.len() == token.len() && differs == 0
}
