//! The embedded file: opening it, its topics, and keeping it small.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use pulse_core::UseCase;
use pulse_core::names::{PARTITIONS, TOPIC_ANOMALIES, dead_letter_topic};
use pulse_core::ports::Clock;
use pulse_runtime::Settings;
use pulse_store::{EmbeddedStore, Retention};
use tokio_util::sync::CancellationToken;

/// Name of the file in the data folder.
pub(crate) const FILE: &str = "stream-pulse.db";
const RETAIN_EVERY: Duration = Duration::from_secs(60);

/// Opens the file and makes the topics that are not there yet.
pub(super) async fn open(
    settings: &Settings,
    use_case: &UseCase,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<EmbeddedStore> {
    let store = EmbeddedStore::open(&settings.data_dir().join(FILE), clock).await?;
    let input_dead_letters = dead_letter_topic(&use_case.topic);
    let anomalies_dead_letters = dead_letter_topic(TOPIC_ANOMALIES);
    let topics = [
        (use_case.topic.as_str(), PARTITIONS),
        (&input_dead_letters, PARTITIONS),
        // One partition: few records, and the writer stores them in one order.
        (TOPIC_ANOMALIES, 1),
        (&anomalies_dead_letters, 1),
    ];
    for (topic, partitions) in topics {
        store.create_topic(topic, partitions).await.with_context(|| format!("the topic {topic} cannot be made"))?;
    }
    Ok(store)
}

/// Drops what retention no longer wants, once a minute.
pub(super) async fn keep_small(store: EmbeddedStore, policy: Retention, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(RETAIN_EVERY) => {}
        }
        if let Err(error) = store.retain(policy).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "retention failed: trying again in a minute");
        }
    }
}
