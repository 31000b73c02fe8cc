//! `/health` and `/models`.

use axum::Json;
use axum::extract::State;
use pulse_scoring::ModelInfo;
use serde::Serialize;

use crate::model_slot::{ModelState, WarmUp};
use crate::service::MlService;

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
struct ListedModel {
    use_case: String,
    active: bool,
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

pub(super) async fn list(State(service): State<MlService>) -> Json<Models> {
    let listed = service.use_cases().iter().filter_map(|use_case| {
        let model = use_case.slot().model()?;
        Some(ListedModel { use_case: use_case.name().to_owned(), active: true, info: model.info().clone() })
    });
    Json(Models { models: listed.collect() })
}
