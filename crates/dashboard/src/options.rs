//! How the dashboard behaves.

use std::time::Duration;

/// Settings of the dashboard; the defaults suit one machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DashboardOptions {
    /// How often the store is asked for new anomalies.
    pub poll_interval: Duration,
    /// After how much silence a stream sends a comment, so that proxies keep it open.
    pub keep_alive: Duration,
    /// How long a query may take before its request is answered with 503.
    pub query_timeout: Duration,
    /// How many streams may be open at once.
    pub max_stream_clients: usize,
    /// How many anomalies a stream catches up on before it asks its client to read everything again.
    pub max_replay: u64,
}

impl Default for DashboardOptions {
    fn default() -> Self {
        Self {
            poll_interval: Duration::from_millis(300),
            keep_alive: Duration::from_secs(15),
            query_timeout: Duration::from_secs(10),
            max_stream_clients: 512,
            max_replay: 5_000,
        }
    }
}
