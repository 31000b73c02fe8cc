//! What is too large for its topic goes to the dead letters, cut.

use std::sync::Arc;

use pulse_core::names::{HEADER_REASONS, HEADER_USE_CASE};
use pulse_core::ports::Commit;
use pulse_core::{Headers, NewRecord};
use pulse_features::Fault;

/// Bytes of a record that every topic takes; brokers take a mebibyte by default.
const KEPT: usize = 64 << 10;

/// Replaces the largest output of `commit` by a dead letter with the beginning of it; false where none is so large that this
/// would help. Which one that is depends on the outputs alone, so that a replay does the same.
pub(crate) fn cut_largest(commit: &mut Commit, dead_letters: &Arc<str>) -> bool {
    let Some(output) = commit.outputs.iter_mut().max_by_key(|output| output.payload.len()) else { return false };
    if output.payload.len() <= KEPT {
        return false;
    }
    let bytes = output.payload.len();
    tracing::error!(topic = %output.topic, bytes, "a record is too large for its topic: its beginning goes to {dead_letters}");
    *output = cut(output, dead_letters);
    true
}

fn cut(record: &NewRecord, dead_letters: &Arc<str>) -> NewRecord {
    let fault = Fault {
        field: String::new(),
        value: format!("{} bytes", record.payload.len()),
        message: format!(
            "is too large for topic {}: send smaller events, or raise its max.message.bytes",
            record.topic
        ),
    };
    let reasons = serde_json::to_vec(&[fault]).unwrap_or_default();
    let kept =
        record.headers.iter().filter(|(name, _)| *name != HEADER_REASONS && name.len() <= HEADER_USE_CASE.len() + 20);
    let kept = kept.filter(|(_, value)| value.len() <= KEPT / 16).take(16);
    let headers = Headers::new(kept.chain([(HEADER_REASONS, reasons.as_slice())]));
    let key = record.key.as_ref().map(|key| key.slice(..key.len().min(KEPT / 16)));
    NewRecord { topic: Arc::clone(dead_letters), key, headers, payload: record.payload.slice(..KEPT), ..record.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(topic: &str, bytes: usize) -> NewRecord {
        let headers = Headers::new([("pulse-origin", b"t/0/7".as_slice()), ("pulse-reasons", b"[]")]);
        let (topic, payload) = (topic.into(), vec![b'x'; bytes].into());
        NewRecord { topic, partition: None, timestamp: 5, key: Some("k".into()), headers, payload }
    }

    #[test]
    fn the_largest_is_cut_and_says_why() {
        let outputs = vec![output("anomalies", 10), output("anomalies", 5 << 20), output("t.dlq", 100)];
        let mut commit = Commit { outputs, ..Commit::default() };
        let dead_letters: Arc<str> = "t.dlq".into();
        assert!(cut_largest(&mut commit, &dead_letters));
        let cut = &commit.outputs[1];
        assert_eq!((&*cut.topic, cut.payload.len(), cut.timestamp), ("t.dlq", KEPT, 5));
        assert_eq!(cut.headers.get_str("pulse-origin"), Some("t/0/7"));
        assert!(cut.headers.get_str("pulse-reasons").is_some_and(|reasons| reasons.contains("5242880 bytes")));
        assert!(!cut_largest(&mut commit, &dead_letters), "what is left is small");
    }
}
