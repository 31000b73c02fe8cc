//! `/api/summary`: how much there was lately.

use axum::extract::State;
use jiff::{SignedDuration, Timestamp};
use pulse_core::ports::{AnomalyFilter, AnomalyQuery, GroupBy};

use crate::api::{Answer, FILTER, fresh};
use crate::params::Params;
use crate::problem::Problem;
use crate::server::Shared;
use crate::view::{CountsView, Severities, SummaryView};

pub(crate) async fn summary<Q: AnomalyQuery>(State(app): State<Shared<Q>>, mut params: Params) -> Answer {
    let filter = params.filter();
    params.finish(FILTER)?;
    let sequence = app.store.last_sequence().await?;
    let newest = newest(&app, &AnomalyFilter::default()).await?;
    let latest = if filter == AnomalyFilter::default() { newest } else { self::newest(&app, &filter).await? };
    // Event time may run ahead of the clock, as when a sample is replayed fast.
    let as_of = newest.unwrap_or(Timestamp::MIN).max(app.clock.now());
    let (minute, quarter_hour, hour) = tokio::try_join!(
        counts(&app, &filter, as_of, SignedDuration::from_mins(1)),
        counts(&app, &filter, as_of, SignedDuration::from_mins(15)),
        counts(&app, &filter, as_of, SignedDuration::from_hours(1)),
    )?;
    Ok(fresh(SummaryView { sequence, as_of, latest, minute, quarter_hour, hour }))
}

async fn newest<Q: AnomalyQuery>(app: &Shared<Q>, filter: &AnomalyFilter) -> Result<Option<Timestamp>, Problem> {
    Ok(app.store.latest(filter, 1).await?.first().map(|stored| stored.anomaly.event_time))
}

async fn counts<Q: AnomalyQuery>(
    app: &Shared<Q>,
    filter: &AnomalyFilter,
    as_of: Timestamp,
    period: SignedDuration,
) -> Result<CountsView, Problem> {
    let from = as_of.saturating_sub(period).unwrap_or(Timestamp::MIN);
    let filter = AnomalyFilter { from: Some(from), ..filter.clone() };
    let mut severities = Severities::default();
    for (name, count) in app.store.top(GroupBy::Severity, &filter, 3).await? {
        match name.as_str() {
            "warning" => severities.warning = count,
            "high" => severities.high = count,
            "critical" => severities.critical = count,
            other => tracing::warn!(severity = other, "the store knows a severity that the dashboard does not"),
        }
    }
    Ok(severities.into())
}
