//! What is written of versions, and what is told of them.

use pulse_scoring::StoredModel;
use serde::{Deserialize, Serialize};

use crate::training::Quality;

/// A stored version: what can be told about it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Metadata {
    pub(super) format: u32,
    /// The use case that it was trained for.
    pub use_case: String,
    /// How it came about.
    #[serde(flatten)]
    pub provenance: Provenance,
    /// Fingerprint of the use case's features, as they were.
    pub schema_hash: String,
    /// The model.
    #[serde(flatten)]
    pub model: StoredModel,
}

/// How a version came about.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Provenance {
    /// When it was trained: RFC 3339.
    pub trained_at: String,
    /// What it was trained on.
    pub source: String,
    /// Rows that were no valid events.
    pub rows_left_out: u64,
    /// How well it does on labelled rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<Quality>,
}

/// A version in a list.
#[derive(Debug, Clone, Serialize)]
pub struct Version {
    /// Whether it is in force.
    pub active: bool,
    /// Whether it scores beside the one in force.
    pub candidate: bool,
    /// What can be told about it.
    #[serde(flatten)]
    pub metadata: Metadata,
}

/// Which versions are used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// The one in force.
    pub active: Option<String>,
    /// The one that scores beside it.
    pub candidate: Option<String>,
}

/// Which version is in force.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Active {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<String>,
    /// The one that scores beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) candidate: Option<String>,
    /// Those before it, the last one last.
    #[serde(default)]
    pub(super) before: Vec<String>,
}
