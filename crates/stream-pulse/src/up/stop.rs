//! When a run ends.

use std::time::Duration;

use pulse_runtime::shutdown_signal;
use tokio_util::sync::CancellationToken;

/// Fires `stop` on SIGINT, on SIGTERM, or after `duration`. A second signal ends the process at once: nothing is lost by
/// that, for what was not committed is read again.
pub(super) async fn watch(duration: Option<Duration>, stop: CancellationToken) {
    tokio::select! {
        () = shutdown_signal() => tracing::info!("stopping: a second signal ends it at once"),
        () = after(duration) => tracing::info!("stopping: the time is over"),
        () = stop.cancelled() => {}
    }
    stop.cancel();
    shutdown_signal().await;
    std::process::exit(130);
}

async fn after(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}
