//! Which versions judged from which offset on, as it stands in the state topic.
//!
//! Keys are `versions/<offset>`, the offset in 20 digits; values are JSON, for whoever reads the topic. One stands for all
//! events from its offset to the next one's, so that a replay of the log can judge each event as it was judged.

use pulse_core::ports::StateRecord;
use serde::{Deserialize, Serialize};

const PREFIX: &[u8] = b"versions/";

/// What a verdict depends on besides the events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// The first record that was taken so.
    pub offset: u64,
    /// The model; empty where none has scored yet.
    pub model_version: String,
    /// The use case's configuration.
    pub config_version: String,
}

impl Versions {
    /// Whether `record` tells of versions.
    #[must_use]
    pub fn are_in(record: &StateRecord) -> bool {
        record.key.starts_with(PREFIX)
    }

    /// The versions of which `record` tells, where it is one that does and is not damaged.
    #[must_use]
    pub fn of(record: &StateRecord) -> Option<Self> {
        if !Self::are_in(record) {
            return None;
        }
        serde_json::from_slice(record.value.as_deref()?).ok()
    }

    /// Whether these are the versions.
    #[must_use]
    pub fn judges_as(&self, model: &str, config: &str) -> bool {
        self.model_version == model && self.config_version == config
    }

    /// Those in force at the end of what `records` tell.
    pub(crate) fn latest(records: &[StateRecord]) -> Option<Self> {
        records.iter().filter_map(Self::of).max_by_key(|versions| versions.offset)
    }

    pub(crate) fn record(&self) -> StateRecord {
        let key = [PREFIX, format!("{:020}", self.offset).as_bytes()].concat();
        StateRecord { key: key.into(), value: serde_json::to_vec(self).ok().map(Into::into) }
    }
}
