//! Records that cannot become a row.

use std::sync::Arc;

use pulse_core::names::{HEADER_ORIGIN, HEADER_REASONS};
use pulse_core::{Headers, NewRecord, Record};
use serde_json::json;

/// Characters of the payload that the reason repeats.
const SHOWN: usize = 100;

/// `record` as it came, on its way to the dead-letter topic `target`, with the reason and its origin in the headers.
pub(crate) fn dead_letter(target: &Arc<str>, topic: &str, partition: u32, record: &Record, reason: &str) -> NewRecord {
    let value: String = String::from_utf8_lossy(&record.payload).chars().take(SHOWN).collect();
    let reasons = json!([{ "field": "", "value": value, "message": reason }]).to_string();
    let origin = format!("{topic}/{partition}/{}", record.offset);
    let ours = [(HEADER_REASONS, reasons.as_bytes()), (HEADER_ORIGIN, origin.as_bytes())];
    NewRecord {
        topic: target.clone(),
        partition: None,
        timestamp: record.timestamp,
        key: record.key.clone(),
        payload: record.payload.clone(),
        headers: Headers::new(record.headers.iter().chain(ours)),
    }
}
