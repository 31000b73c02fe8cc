//! `POST /predict` and its kin.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;

use crate::body::{self, Admitted};
use crate::path::Path;
use crate::predict::{self, BatchPrediction, Prediction};
use crate::problem::Problem;
use crate::served::ServedUseCase;
use crate::service::MlService;

/// Batches of more rows than this are scored on a thread where blocking is allowed: it would take more than a millisecond.
pub(super) const INLINE_ROWS: usize = 64;

pub(super) async fn one(
    State(service): State<MlService>,
    headers: HeaderMap,
    body: Admitted,
) -> Result<Json<Prediction>, Problem> {
    predict_one(&service, service.first(), &headers, &body)
}

pub(super) async fn one_of(
    State(service): State<MlService>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Admitted,
) -> Result<Json<Prediction>, Problem> {
    predict_one(&service, service.use_case(&name)?, &headers, &body)
}

pub(super) async fn many(
    State(service): State<MlService>,
    headers: HeaderMap,
    body: Admitted,
) -> Result<Json<BatchPrediction>, Problem> {
    let use_case = service.first().clone();
    predict_many(service, use_case, &headers, body).await
}

pub(super) async fn many_of(
    State(service): State<MlService>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Admitted,
) -> Result<Json<BatchPrediction>, Problem> {
    let use_case = service.use_case(&name)?.clone();
    predict_many(service, use_case, &headers, body).await
}

fn predict_one(
    service: &MlService,
    use_case: &ServedUseCase,
    headers: &HeaderMap,
    body: &Admitted,
) -> Result<Json<Prediction>, Problem> {
    let prediction = predict::one(use_case, body::one_event(body.json(headers)?)?)?;
    service.metrics().count_rows(use_case.name(), 1, usize::from(prediction.verdict.is_anomaly));
    Ok(Json(prediction))
}

async fn predict_many(
    service: MlService,
    use_case: ServedUseCase,
    headers: &HeaderMap,
    body: Admitted,
) -> Result<Json<BatchPrediction>, Problem> {
    let limits = service.limits();
    let rows = body::many_events(body.json(headers)?)?.len();
    if rows > limits.batch_rows {
        let limit = limits.batch_rows;
        return Err(Problem::too_large(format!("{rows} events are more than {limit}: send them in several requests")));
    }
    let batch = if rows <= INLINE_ROWS {
        score(&service, &use_case, &body.bytes)
    } else {
        let doors = service.clone();
        let work = move || {
            // As a whole, so that it has its place until it is scored, also where whoever asked has gone.
            let body = body;
            score(&service, &use_case, &body.bytes)
        };
        doors.doors().batch(work).await?
    };
    batch.map(Json)
}

fn score(service: &MlService, use_case: &ServedUseCase, body: &[u8]) -> Result<BatchPrediction, Problem> {
    let batch = predict::many(use_case, &body::many_events(body)?)?;
    service.metrics().count_rows(use_case.name(), batch.predictions.len() - batch.invalid, batch.anomalies);
    Ok(batch)
}
