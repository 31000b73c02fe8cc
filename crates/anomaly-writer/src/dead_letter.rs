//! Records that cannot become a row.

use std::sync::Arc;

use pulse_core::{NewRecord, Record};
use serde_json::json;

/// Characters of the payload that the reason repeats.
const SHOWN: usize = 100;

/// `record` as it came, on its way to the dead-letter topic `target`, with the reason and its origin in the headers.
pub(crate) fn dead_letter(target: &Arc<str>, topic: &str, partition: u32, record: &Record, reason: &str) -> NewRecord {
    let value: String = String::from_utf8_lossy(&record.payload).chars().take(SHOWN).collect();
    let reasons = json!([{ "field": "", "value": value, "message": reason }]).to_string();
    record.dead_letter(target, topic, partition, reasons.as_bytes())
}
