//! Whether a topic that exists is as it has to be.

use crate::admin::Admin;
use crate::catalog::MAX_MESSAGE_BYTES;
use crate::error::KafkaError;

use super::TopicSpec;

/// The setting that says whether old records go by age or by key.
const CLEANUP_POLICY: &str = "cleanup.policy";

pub(super) async fn check(admin: &Admin, topic: &TopicSpec, partitions: u32) -> Result<(), KafkaError> {
    if topic.co_partitioned && partitions != topic.partitions {
        return Err(miscounted(&topic.name, partitions, topic.partitions));
    }
    let Some(found) = admin.settings_of(&topic.name).await? else {
        tracing::debug!(topic = topic.name, "not allowed to ask for its settings: taking them as they are");
        return Ok(());
    };
    for (name, wanted) in &topic.configs {
        let Some((_, found)) = found.iter().find(|(found, _)| found == name) else { continue };
        if !is_enough(name, found, wanted) {
            let mend = format!(
                "run `kafka-configs.sh --bootstrap-server … --alter --entity-type topics --entity-name {} --add-config {name}={wanted}`",
                topic.name
            );
            return Err(wrong(topic, name, found.clone(), wanted.clone(), &mend));
        }
    }
    Ok(())
}

/// That `topic` has not as many partitions as the input. More can be added; fewer come only of an input that was made anew.
pub(crate) fn miscounted(topic: &str, found: u32, wanted: u32) -> KafkaError {
    let mend = if found < wanted {
        format!("run `kafka-topics.sh --bootstrap-server … --alter --topic {topic} --partitions {wanted}`")
    } else {
        "stop all processors of the use case and delete the topic: it is made anew, and state is rebuilt by replay"
            .to_owned()
    };
    let setting = "the number of partitions".to_owned();
    KafkaError::WrongTopic {
        topic: topic.to_owned(),
        setting,
        found: found.to_string(),
        wanted: wanted.to_string(),
        mend,
    }
}

fn wrong(topic: &TopicSpec, setting: &str, found: String, wanted: String, mend: &str) -> KafkaError {
    let (topic, setting, mend) = (topic.name.clone(), setting.to_owned(), mend.to_owned());
    KafkaError::WrongTopic { topic, setting, found, wanted, mend }
}

/// Whether the value `found` will do where `wanted` is asked for.
fn is_enough(name: &str, found: &str, wanted: &str) -> bool {
    match name {
        MAX_MESSAGE_BYTES => match (found.parse::<u64>(), wanted.parse::<u64>()) {
            (Ok(found), Ok(wanted)) => found >= wanted,
            _ => true,
        },
        // Deleted by age besides, state would be lost.
        CLEANUP_POLICY => found == wanted,
        // What else we set is a wish.
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn larger_is_enough_and_another_policy_is_not() {
        assert!(is_enough(MAX_MESSAGE_BYTES, "5000000", "4194304"));
        assert!(!is_enough(MAX_MESSAGE_BYTES, "1048588", "4194304"));
        assert!(is_enough(CLEANUP_POLICY, "compact", "compact"));
        assert!(!is_enough(CLEANUP_POLICY, "compact,delete", "compact"));
        assert!(is_enough("retention.ms", "1", "2"));
    }
}
