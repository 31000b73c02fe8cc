//! Records that cannot become a row.

use std::sync::Arc;

use bytes::Bytes;
use pulse_core::names::{HEADER_ORIGIN, HEADER_REASONS};
use pulse_core::{Headers, NewRecord, Record};
use serde_json::{Value, json};

/// On a dead letter that was cut: the bytes that its payload had.
const HEADER_BYTES: &str = "pulse-original-bytes";
/// Characters of the payload that the reason repeats.
const SHOWN: usize = 100;
/// Characters of a reason at the most: parsers tell the value that they did not want, however long it is.
const REASON: usize = 1000;
/// Bytes of its payload that a dead letter keeps which its topic does not take whole.
const KEPT: usize = 64 << 10;
/// A key of more bytes is left out of one that is cut.
const LONGEST_KEY: usize = 1 << 10;

/// `record` as it came, on its way to the dead-letter topic `target`, with the reason and its origin in the headers.
pub(crate) fn dead_letter(target: &Arc<str>, topic: &str, partition: u32, record: &Record, reason: &str) -> NewRecord {
    let value: String = String::from_utf8_lossy(&record.payload).chars().take(SHOWN).collect();
    let reasons = json!([fault(&value, reason)]).to_string();
    record.dead_letter(target, topic, partition, reasons.as_bytes())
}

/// What can be kept of a dead letter that was refused because of `reason`: its reasons, its origin, how large it was, and
/// where it began. Cut again, nothing of the payload is left; none where there is no less.
pub(crate) fn cut(letter: &NewRecord, reason: &str) -> Option<NewRecord> {
    let header = |name| letter.headers.get(name).unwrap_or_default();
    // Ours is the last one: what the record came with stands before the headers of a dead letter.
    let is_cut = letter.headers.iter().last().is_some_and(|(name, _)| name == HEADER_BYTES);
    if !is_cut {
        let mut reasons: Vec<Value> = serde_json::from_slice(header(HEADER_REASONS)).unwrap_or_default();
        reasons.push(fault("", &format!("cut, as it cannot be set aside whole: {reason}")));
        let (reasons, bytes) = (Value::from(reasons).to_string(), letter.payload.len().to_string());
        let headers = [
            (HEADER_REASONS, reasons.as_bytes()),
            (HEADER_ORIGIN, header(HEADER_ORIGIN)),
            (HEADER_BYTES, bytes.as_bytes()),
        ];
        return Some(NewRecord {
            key: letter.key.clone().filter(|key| key.len() <= LONGEST_KEY),
            payload: letter.payload.slice(..letter.payload.len().min(KEPT)),
            headers: Headers::new(headers),
            ..letter.clone()
        });
    }
    let is_less = !letter.payload.is_empty() || letter.key.is_some();
    is_less.then(|| NewRecord { key: None, payload: Bytes::new(), ..letter.clone() })
}

fn fault(value: &str, reason: &str) -> Value {
    let message: String = reason.chars().take(REASON).collect();
    json!({ "field": "", "value": value, "message": message })
}
