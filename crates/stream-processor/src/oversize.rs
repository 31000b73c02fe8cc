//! What is too large for its topic goes to the dead letters, cut.

use std::sync::Arc;

use pulse_core::NewRecord;
use pulse_core::ports::Commit;
use serde_json::json;

/// Replaces the largest output of `commit` by a dead letter with the beginning of it; false where none is so large that this
/// would help. Which one that is depends on the outputs alone, so that a replay does the same.
pub(crate) fn cut_largest(commit: &mut Commit, dead_letters: &Arc<str>) -> bool {
    let Some(output) = commit.outputs.iter_mut().max_by_key(|output| output.payload.len()) else { return false };
    let (topic, bytes) = (Arc::clone(&output.topic), output.payload.len());
    if bytes <= NewRecord::KEPT_WHEN_CUT {
        return false;
    }
    let message = format!("is too large for topic {topic}: send smaller events, or raise its max.message.bytes");
    let fault = json!({ "field": "", "value": format!("{bytes} bytes"), "message": message });
    let Some(cut) = output.cut(dead_letters, fault) else { return false };
    tracing::error!(%topic, bytes, "a record is too large for its topic: its beginning goes to {dead_letters}");
    *output = cut;
    true
}

#[cfg(test)]
mod tests {
    use pulse_core::Headers;

    use super::*;

    const KEPT: usize = NewRecord::KEPT_WHEN_CUT;

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
