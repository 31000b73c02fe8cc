//! The one task that reads new anomalies from the store.

use std::sync::Arc;
use std::time::Duration;

use pulse_core::ports::AnomalyQuery;
use pulse_runtime::Health;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::frame::Batch;
use super::hub::News;
use crate::problem::Problem;
use crate::server::App;

/// Anomalies read at once.
const PAGE: u32 = 200;
/// How far the follower may fall behind before it skips to the present. Nobody reads thousands of rows in a blink.
const MOST_BEHIND: u64 = 2_000;
/// How long it waits after a failure.
const PAUSE: Duration = Duration::from_secs(1);

/// Follows the store until stopped.
pub(crate) async fn follow<Q: AnomalyQuery>(app: &App<Q>, health: &Health) {
    let work = async {
        let mut ticks = interval(app.options.poll_interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match advance(app).await {
                Ok(()) => health.set_ready(),
                // The problem is in the log already.
                Err(_) => {
                    health.set_not_ready("the store does not answer");
                    sleep(PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = app.stop.cancelled() => {}
        () = work => {}
    }
}

/// Tells all that is new.
pub(super) async fn advance<Q: AnomalyQuery>(app: &App<Q>) -> Result<(), Problem> {
    let Some(mut position) = app.hub.position() else {
        app.hub.start(app.store.last_sequence().await?);
        return Ok(());
    };
    loop {
        let rows = app.store.since(position, PAGE).await?;
        let Some(last) = rows.last().map(|row| row.sequence) else {
            return Ok(());
        };
        for batch in Batch::split(&rows) {
            app.metrics.stream_events.inc_by(batch.len() as u64);
            if let Some(last) = batch.last() {
                app.hub.tell(last, News::Batch(Arc::new(batch)));
            }
        }
        // Where the last rows could not be encoded, no batch has moved the position past them.
        app.hub.start(last);
        position = last;
        if rows.len() < PAGE as usize {
            return Ok(());
        }
        let newest = app.store.last_sequence().await?;
        if newest.saturating_sub(position) > MOST_BEHIND {
            app.hub.tell(newest, News::Skipped(newest));
            return Ok(());
        }
    }
}
