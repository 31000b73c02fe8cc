//! `/api/top`: the largest groups.

use axum::extract::State;
use pulse_core::ports::AnomalyQuery;

use crate::api::{Answer, FILTER, fresh};
use crate::params::Params;
use crate::server::Shared;
use crate::view::{GroupView, TopView};

const DEFAULT_LIMIT: u32 = 10;
const MOST: u32 = 100;

pub(crate) async fn top<Q: AnomalyQuery>(State(app): State<Shared<Q>>, mut params: Params) -> Answer {
    let filter = params.filter_with_period();
    let by = params.group_by();
    let limit = params.limit(DEFAULT_LIMIT, MOST);
    params.finish(&format!("by, {FILTER}, from, to, limit"))?;
    let sequence = app.store.last_sequence().await?;
    let groups = app.store.top(by, &filter, limit).await?;
    let groups = groups.into_iter().map(|(name, count)| GroupView { name, count }).collect();
    Ok(fresh(TopView { sequence, groups }))
}
