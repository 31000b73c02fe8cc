//! What a run left in its file.

use std::path::Path;
use std::sync::Arc;

use pulse_core::names::HEADER_SEQUENCE;
use pulse_core::ports::{AnomalyQuery, EventProducer};
use pulse_runtime::SystemClock;
use pulse_store::EmbeddedStore;
use serde_json::Value;

async fn open(data: &Path) -> EmbeddedStore {
    EmbeddedStore::open(&data.join("stream-pulse.db"), Arc::new(SystemClock)).await.unwrap()
}

/// Every anomaly stored, in the order of its identity, without the one field that may differ between two runs.
pub(crate) async fn anomalies(data: &Path) -> Vec<Value> {
    let store = open(data).await;
    let stored = store.query().since(0, u32::MAX).await.unwrap();
    let mut anomalies: Vec<Value> = stored
        .iter()
        .map(|stored| {
            let mut anomaly = serde_json::to_value(&stored.anomaly).unwrap();
            anomaly.as_object_mut().unwrap().remove("detected_at").unwrap();
            anomaly
        })
        .collect();
    anomalies.sort_by_key(|anomaly| anomaly["id"].as_str().unwrap().to_owned());
    store.close().await;
    anomalies
}

/// How many anomalies are stored.
pub(crate) async fn count(data: &Path) -> u64 {
    let store = open(data).await;
    let count = store.query().last_sequence().await.unwrap();
    store.close().await;
    count
}

/// How many events the simulator has produced.
pub(crate) async fn produced(data: &Path) -> u64 {
    let store = open(data).await;
    let last = store.producer().last_records("raw_events").await.unwrap();
    let sequences = last.iter().map(|record| {
        let text = record.headers.get_str(HEADER_SEQUENCE).unwrap();
        text.parse::<u64>().unwrap() + 1
    });
    let produced = sequences.max().unwrap_or(0);
    store.close().await;
    produced
}
