//! Real signals, in a process of their own.
#![cfg(unix)]

use std::process::Command;
use std::time::Duration;

use pulse_runtime::shutdown_signal;

#[tokio::test]
async fn both_signals_are_heard() {
    for signal in ["-TERM", "-INT"] {
        let heard = shutdown_signal();
        tokio::pin!(heard);
        // Listening begins with the first poll; a signal before that would end this process.
        tokio::select! {
            biased;
            () = &mut heard => panic!("nobody sent a signal yet"),
            () = std::future::ready(()) => {}
        }
        let sent = Command::new("kill").args([signal, &std::process::id().to_string()]).status().unwrap();
        assert!(sent.success());
        tokio::time::timeout(Duration::from_secs(10), heard).await.expect(signal);
    }
}
