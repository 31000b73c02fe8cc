//! What is too large for its topic goes to the dead letters, cut.

use std::sync::Arc;

use pulse_core::ports::Commit;
use serde_json::json;

/// Replaces the largest output for `topic`, which does not take it, by a dead letter with the beginning of it; without a topic
/// the largest of all. False where there is none of which anything could be left out.
///
/// As long as a topic refuses anything, it refuses its largest. So what is cut in the end is what does not fit, whatever else is
/// in the commit.
pub(crate) fn cut_largest(commit: &mut Commit, topic: Option<&str>, dead_letters: &Arc<str>) -> bool {
    let meant = commit.outputs.iter_mut().filter(|output| topic.is_none_or(|topic| *output.topic == *topic));
    let Some(output) = meant.max_by_key(|output| output.encoded_bytes()) else { return false };
    let (topic, bytes) = (Arc::clone(&output.topic), output.encoded_bytes());
    let message = format!("is too large for topic {topic}: send smaller events, or raise its max.message.bytes");
    let fault = json!({ "field": "", "value": format!("{bytes} bytes"), "message": message });
    let Some(cut) = output.cut(dead_letters, fault) else { return false };
    tracing::error!(%topic, bytes, "a record is too large for its topic: its beginning goes to {dead_letters}");
    *output = cut;
    true
}

#[cfg(test)]
mod tests {
    use pulse_core::{Headers, NewRecord};

    use super::*;

    const KEPT: usize = NewRecord::KEPT_WHEN_CUT;

    fn output(topic: &str, bytes: usize) -> NewRecord {
        let headers = Headers::new([("pulse-origin", b"t/0/7".as_slice()), ("pulse-reasons", b"[]")]);
        let (topic, payload) = (topic.into(), vec![b'x'; bytes].into());
        NewRecord { topic, partition: None, timestamp: 5, key: Some("k".into()), headers, payload }
    }

    #[test]
    fn the_largest_for_the_topic_is_cut_and_says_why() {
        let outputs = vec![output("anomalies", 10), output("anomalies", 5 << 20), output("t.dlq", 6 << 20)];
        let mut commit = Commit { outputs, ..Commit::default() };
        let dead_letters: Arc<str> = "t.dlq".into();
        assert!(cut_largest(&mut commit, Some("anomalies"), &dead_letters));
        let cut = &commit.outputs[1];
        assert_eq!((&*cut.topic, cut.payload.len(), cut.timestamp), ("t.dlq", KEPT, 5));
        assert_eq!(cut.headers.get_str("pulse-origin"), Some("t/0/7"));
        assert!(cut.headers.get_str("pulse-reasons").is_some_and(|reasons| reasons.contains("for topic anomalies")));
        assert_eq!(commit.outputs[2], output("t.dlq", 6 << 20), "it goes elsewhere, and fits there");
        assert!(!cut_largest(&mut commit, Some("other"), &dead_letters));
    }

    #[test]
    fn what_is_large_by_its_headers_is_cut_too_and_what_is_cut_to_nothing_stays() {
        let mut large = output("t.dlq", 100);
        large.headers = Headers::new([("note", vec![b'x'; 2 << 20].as_slice()), ("pulse-origin", b"t/0/7")]);
        let mut commit = Commit { outputs: vec![output("t.dlq", KEPT), large], ..Commit::default() };
        let dead_letters: Arc<str> = "t.dlq".into();
        assert!(cut_largest(&mut commit, None, &dead_letters));
        let cut = &commit.outputs[1];
        assert!(cut.encoded_bytes() < 1000 && cut.payload.len() == 100, "{}", cut.encoded_bytes());
        commit.outputs.remove(0);
        assert!(cut_largest(&mut commit, Some("t.dlq"), &dead_letters), "the payload is left out");
        assert!(!cut_largest(&mut commit, Some("t.dlq"), &dead_letters), "nothing is left");
    }
}
