//! When a run ends.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// Fires `stop` after `duration`, where there is one.
pub(super) async fn after(duration: Option<Duration>, stop: CancellationToken) {
    let Some(duration) = duration else { return };
    tokio::select! {
        () = tokio::time::sleep(duration) => stop.cancel(),
        () = stop.cancelled() => {}
    }
}
