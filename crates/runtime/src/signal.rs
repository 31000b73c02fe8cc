//! How a person or a supervisor asks a process to stop.

use tokio_util::sync::CancellationToken;

/// What a shell answers for a command that was interrupted.
const INTERRUPTED: i32 = 130;

/// Fires `stop` on SIGINT or SIGTERM. A second signal ends the process at once: nothing is lost by that, for what was not
/// committed is read again.
pub async fn stop_on_signal(stop: CancellationToken) {
    shutdown_signal().await;
    tracing::info!("stopping; a second signal ends it at once");
    stop.cancel();
    shutdown_signal().await;
    std::process::exit(INTERRUPTED);
}

/// Waits for SIGINT (Ctrl-C) or SIGTERM.
///
/// A process that cannot listen for them runs on until it is killed: that is logged, and this never returns.
pub async fn shutdown_signal() {
    let name = tokio::select! {
        () = interrupt() => "SIGINT",
        () = terminate() => "SIGTERM",
    };
    tracing::info!(signal = name, "asked to stop");
}

async fn interrupt() {
    if let Err(error) = tokio::signal::ctrl_c().await {
        tracing::error!(%error, "cannot listen for Ctrl-C");
        std::future::pending::<()>().await;
    }
}

#[cfg(unix)]
async fn terminate() {
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut signal) => drop(signal.recv().await),
        Err(error) => {
            tracing::error!(%error, "cannot listen for SIGTERM");
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(not(unix))]
async fn terminate() {
    std::future::pending::<()>().await;
}
