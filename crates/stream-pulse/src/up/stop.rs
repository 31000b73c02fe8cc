//! When a run ends.

use std::time::Duration;

use pulse_runtime::shutdown_signal;
use tokio_util::sync::CancellationToken;

/// Fires `stop` on SIGINT or SIGTERM. A second signal ends the process at once: nothing is lost by that, for what was not
/// committed is read again.
pub(super) async fn on_signal(stop: CancellationToken) {
    shutdown_signal().await;
    tracing::info!("stopping; a second signal ends it at once");
    stop.cancel();
    shutdown_signal().await;
    std::process::exit(130);
}

/// Fires `stop` after `duration`, where there is one.
pub(super) async fn after(duration: Option<Duration>, stop: CancellationToken) {
    let Some(duration) = duration else { return };
    tokio::select! {
        () = tokio::time::sleep(duration) => stop.cancel(),
        () = stop.cancelled() => {}
    }
}
