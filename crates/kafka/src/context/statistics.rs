//! The part of librdkafka's statistics that we need. It is the one place where it tells the end of a partition, and how far
//! it has read beyond the last record, through the markers of transactions.

use std::collections::HashMap;

use serde::Deserialize;

/// What a client knows at one instant.
#[derive(Debug, Deserialize)]
pub(crate) struct Statistics {
    #[serde(default)]
    brokers: HashMap<String, Broker>,
    #[serde(default)]
    topics: HashMap<String, Topic>,
}

#[derive(Debug, Deserialize)]
struct Broker {
    state: String,
}

#[derive(Debug, Deserialize)]
struct Topic {
    #[serde(default)]
    partitions: HashMap<String, PartitionStatistics>,
}

/// What a client knows of a partition; negative where it does not know.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct PartitionStatistics {
    pub(crate) partition: i32,
    /// What waits in the queue that this partition's records go through.
    #[serde(rename = "fetchq_cnt")]
    pub(crate) queued: i64,
    /// The last end that was reached.
    #[serde(rename = "eof_offset")]
    pub(crate) end_reached: i64,
    /// The end of what is committed.
    #[serde(rename = "ls_offset")]
    pub(crate) stable_end: i64,
}

impl Statistics {
    pub(crate) fn parse(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).inspect_err(|error| tracing::warn!(%error, "librdkafka's statistics")).ok()
    }

    /// Whether any broker is connected.
    pub(crate) fn is_connected(&self) -> bool {
        self.brokers.values().any(|broker| broker.state == "UP")
    }

    /// The partitions of `topic`.
    pub(crate) fn partitions(&self, topic: &str) -> impl Iterator<Item = &PartitionStatistics> {
        self.topics.get(topic).into_iter().flat_map(|topic| topic.partitions.values())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_is_found() {
        let json = br#"{"name":"x","brokers":{"a:1/bootstrap":{"state":"INIT"},"a:1/1":{"state":"UP","more":{}}},
            "topics":{"events":{"partitions":{"0":{"partition":0,"fetchq_cnt":3,"eof_offset":-1001,"ls_offset":7}}}}}"#;
        let statistics = Statistics::parse(json).unwrap();
        assert!(statistics.is_connected());
        let found = statistics.partitions("events").next().unwrap();
        assert_eq!((found.partition, found.queued, found.end_reached, found.stable_end), (0, 3, -1001, 7));
        assert_eq!(statistics.partitions("others").count(), 0);
        assert!(Statistics::parse(b"{").is_none());
    }
}
