//! `/api/anomalies`: the latest ones, and one of them.

use axum::extract::{Path, State};
use pulse_core::AnomalyId;
use pulse_core::ports::AnomalyQuery;

use crate::api::{Answer, FILTER, fresh};
use crate::params::Params;
use crate::problem::Problem;
use crate::server::Shared;
use crate::view::{AnomaliesView, StoredView};

const DEFAULT_LIMIT: u32 = 200;
const MOST: u32 = 1000;

pub(crate) async fn list<Q: AnomalyQuery>(State(app): State<Shared<Q>>, mut params: Params) -> Answer {
    let filter = params.filter_with_period();
    let limit = params.limit(DEFAULT_LIMIT, MOST);
    params.finish(&format!("{FILTER}, from, to, limit"))?;
    let sequence = app.store.last_sequence().await?;
    let rows = app.store.latest(&filter, limit).await?;
    Ok(fresh(AnomaliesView { sequence, anomalies: rows.iter().map(StoredView::from).collect() }))
}

pub(crate) async fn one<Q: AnomalyQuery>(
    State(app): State<Shared<Q>>,
    Path(id): Path<String>,
    params: Params,
) -> Answer {
    params.finish("no parameter")?;
    let stored = match identity(&id) {
        Some(id) => app.store.get(&id).await?,
        None => None,
    };
    let stored = stored.ok_or_else(|| {
        Problem::not_found(
            "no anomaly has this id: it may have been removed since, for anomalies are kept for a limited time",
        )
    })?;
    Ok(fresh(StoredView::from(&stored)))
}

/// Reads an id; none where the text cannot be one.
fn identity(text: &str) -> Option<AnomalyId> {
    let valid = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    valid.then(|| serde_json::from_value(text.to_ascii_lowercase().into()).ok()).flatten()
}
