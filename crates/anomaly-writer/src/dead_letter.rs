//! Records that cannot become a row.

use std::sync::Arc;

use pulse_core::{NewRecord, Record};
use serde_json::{Value, json};

/// Characters of the payload that the reason repeats.
const SHOWN: usize = 100;
/// Characters of a reason at the most: parsers tell the value that they did not want, however long it is.
const REASON: usize = 1000;

/// `record` as it came, on its way to the dead-letter topic `target`, with the reason and its origin in the headers.
pub(crate) fn dead_letter(target: &Arc<str>, topic: &str, partition: u32, record: &Record, reason: &str) -> NewRecord {
    let value: String = String::from_utf8_lossy(&record.payload).chars().take(SHOWN).collect();
    let reasons = json!([fault(&value, reason)]).to_string();
    record.dead_letter(target, topic, partition, reasons.as_bytes())
}

/// What can be kept of a dead letter that was refused because of `reason`; none where there is no less.
pub(crate) fn cut(letter: &NewRecord, reason: &str) -> Option<NewRecord> {
    letter.cut(&letter.topic, fault("", &format!("cut, as it cannot be set aside whole: {reason}")))
}

fn fault(value: &str, reason: &str) -> Value {
    let message: String = reason.chars().take(REASON).collect();
    json!({ "field": "", "value": value, "message": message })
}
