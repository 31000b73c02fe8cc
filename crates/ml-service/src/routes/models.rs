//! `/health` and `/models`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use pulse_runtime::Secret;
use pulse_scoring::{Model, ModelInfo};
use serde::Serialize;
use tokio::task::spawn_blocking;

use crate::model_slot::{ModelState, WarmUp};
use crate::path::Path;
use crate::problem::Problem;
use crate::registry::{Provenance, Registry, RegistryError, Version};
use crate::served::ServedUseCase;
use crate::service::{Management, MlService};
use crate::shadow::Summary;

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
    /// Whether it scores beside the one in force.
    candidate: bool,
    /// Whether it is there after a restart, and can be gone back to.
    stored: bool,
    /// Of the one in force: how far what it scores has moved from what it was trained on.
    #[serde(skip_serializing_if = "Option::is_none")]
    drift: Option<Drift>,
    /// Of the candidate: how it compares with the one in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    shadow: Option<Summary>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    provenance: Option<Provenance>,
    #[serde(flatten)]
    info: ModelInfo,
}

/// Population stability indices of what was scored lately.
#[derive(Debug, Serialize)]
struct Drift {
    rows: u64,
    score: f64,
    columns: BTreeMap<String, f64>,
}

impl ListedModel {
    fn new(use_case: &ServedUseCase, info: ModelInfo) -> Self {
        let use_case = use_case.name().to_owned();
        let (provenance, drift, shadow) = (None, None, None);
        Self { use_case, active: false, candidate: false, stored: true, provenance, drift, shadow, info }
    }

    /// The same as the one in force.
    fn in_force(self, model: &Model) -> Self {
        let drift = model.drift().report().map(|report| Drift {
            rows: report.rows,
            score: report.score,
            columns: model.columns().iter().cloned().zip(report.columns).collect(),
        });
        Self { active: true, drift, ..self }
    }
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
    let candidate = use_case.shadow().version();
    let mut listed: Vec<ListedModel> = Vec::new();
    for Version { metadata, .. } in use_case.registry().list().map_err(Problem::of_registry)? {
        let mut model = ListedModel::new(use_case, metadata.model.info);
        model.provenance = Some(metadata.provenance);
        if candidate.as_deref() == Some(&model.info.version) {
            (model.candidate, model.shadow) = (true, use_case.shadow().summary());
        }
        listed.push(match in_force.as_ref().filter(|in_force| **in_force.version() == model.info.version) {
            Some(in_force) => model.in_force(in_force),
            None => model,
        });
    }
    if let Some(in_force) = in_force.filter(|_| !listed.iter().any(|listed| listed.active)) {
        let model = ListedModel { stored: false, ..ListedModel::new(use_case, in_force.info().clone()) };
        listed.insert(0, model.in_force(&in_force));
    }
    Ok(listed)
}

pub(super) async fn activate(
    State(service): State<MlService>,
    Path((use_case, version)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Json<ListedModel>, Problem> {
    put_in_force(&service, &use_case, &headers, move |registry, in_force| registry.activate(&version, in_force)).await
}

pub(super) async fn roll_back(
    State(service): State<MlService>,
    Path(use_case): Path<String>,
    headers: HeaderMap,
) -> Result<Json<ListedModel>, Problem> {
    put_in_force(&service, &use_case, &headers, Registry::roll_back).await
}

pub(super) async fn set_candidate(
    State(service): State<MlService>,
    Path((use_case, version)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Json<ListedModel>, Problem> {
    let candidate = manage(&service, &use_case, &headers, move |use_case| change_candidate(use_case, Some(&version)));
    let candidate = candidate.await?.ok_or_else(|| Problem::internal("there is no candidate"))?;
    Ok(Json(candidate))
}

pub(super) async fn remove_candidate(
    State(service): State<MlService>,
    Path(use_case): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    manage(&service, &use_case, &headers, |use_case| change_candidate(use_case, None)).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn change_candidate(use_case: &ServedUseCase, version: Option<&str>) -> Result<Option<ListedModel>, Problem> {
    let in_force = use_case.slot().model();
    let candidate = use_case.registry().set_candidate(version, in_force.as_deref()).map_err(Problem::of_registry)?;
    let candidate = candidate.map(Arc::new);
    use_case.shadow().set(candidate.clone()).map_err(|error| Problem::internal(error.to_string()))?;
    tracing::info!(
        use_case = use_case.name(),
        version = version.unwrap_or("none"),
        "another candidate, as was asked for"
    );
    Ok(candidate.map(|model| {
        let listed = ListedModel::new(use_case, model.info().clone());
        ListedModel { candidate: true, shadow: use_case.shadow().summary(), ..listed }
    }))
}

pub(super) async fn remove(
    State(service): State<MlService>,
    Path((use_case, version)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    // It cannot be undone.
    if matches!(service.management(), Management::Open) {
        return Err(Problem::needs_token());
    }
    let remove = move |use_case: &ServedUseCase| use_case.registry().remove(&version).map_err(Problem::of_registry);
    manage(&service, &use_case, &headers, remove).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Puts in force what `choose` yields. Requests under way are answered by the model that they began with.
async fn put_in_force(
    service: &MlService,
    use_case: &str,
    headers: &HeaderMap,
    choose: impl FnOnce(&Registry, Option<&Model>) -> Result<Model, RegistryError> + Send + 'static,
) -> Result<Json<ListedModel>, Problem> {
    let change = move |use_case: &ServedUseCase| {
        let in_force = use_case.slot().model();
        let model = Arc::new(choose(use_case.registry(), in_force.as_deref()).map_err(Problem::of_registry)?);
        use_case.slot().set(Arc::clone(&model));
        tracing::info!(use_case = use_case.name(), version = %model.version(), "another model is in force, as was asked for");
        Ok(ListedModel::new(use_case, model.info().clone()).in_force(&model))
    };
    manage(service, use_case, headers, change).await.map(Json)
}

/// Changes something of a use case's models, if the caller may do that, where blocking is allowed.
async fn manage<T: Send + 'static>(
    service: &MlService,
    use_case: &str,
    headers: &HeaderMap,
    change: impl FnOnce(&ServedUseCase) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    if is_cross_site(headers) {
        return Err(Problem::cross_site());
    }
    match service.management() {
        Management::Fixed => return Err(Problem::fixed_model()),
        Management::Open => {}
        Management::Token(token) if presents(headers, token) => {}
        Management::Token(_) => return Err(Problem::unauthorized()),
    }
    let use_case = service.use_case(use_case)?.clone();
    let changed = spawn_blocking(move || {
        let _change = use_case.changing();
        change(&use_case)
    });
    let changed = changed.await;
    changed.map_err(|error| Problem::internal(error.to_string()))?
}

/// Whether a browser says that a page of another site made it ask. What is no browser says nothing.
fn is_cross_site(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").map(|site| site.as_bytes());
    site.is_some_and(|site| site != b"same-origin" && site != b"none")
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
