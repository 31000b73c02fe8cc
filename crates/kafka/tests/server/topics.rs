//! Making and checking topics.

use pulse_core::{Classify as _, ErrorClass};
use pulse_kafka::{KafkaError, TopicSpec, ensure_topics, partitions_of};

use crate::broker::Broker;

fn state(broker: &Broker, partitions: u32) -> TopicSpec {
    TopicSpec { name: broker.name("state"), ..TopicSpec::state("any", partitions, None) }
}

#[tokio::test]
async fn what_is_missing_is_made_once() -> anyhow::Result<()> {
    let broker = Broker::shared().await?;
    let input = TopicSpec::input(&broker.name("input"), 5, Some(1));
    let dead = TopicSpec::dead_letters(&broker.name("input"), 5, None);
    let topics = [input.clone(), dead, state(&broker, 5)];
    for _ in 0..2 {
        ensure_topics(&broker.settings, &topics, true).await?;
        assert_eq!(partitions_of(&broker.settings, &input.name).await?, 5);
    }
    let other = TopicSpec { partitions: 9, ..input.clone() };
    ensure_topics(&broker.settings, &[other], true).await?;
    assert_eq!(partitions_of(&broker.settings, &input.name).await?, 5, "what exists is taken as it is");
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_is_told_with_the_mend() -> anyhow::Result<()> {
    let broker = Broker::shared().await?;
    let wrong = TopicSpec { name: broker.name("state"), ..TopicSpec::input("", 3, None) };
    ensure_topics(&broker.settings, std::slice::from_ref(&wrong), true).await?;
    let error = ensure_topics(&broker.settings, &[state(&broker, 3)], true).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("cleanup.policy") && text.contains("kafka-configs.sh"), "{text}");
    assert_eq!(error.class(), ErrorClass::Fatal);
    let error = ensure_topics(&broker.settings, &[state(&broker, 4)], true).await.unwrap_err();
    assert!(matches!(error, KafkaError::WrongTopic { found, wanted, .. } if found == "3" && wanted == "4"));
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_made_is_told_with_the_command() -> anyhow::Result<()> {
    let broker = Broker::shared().await?;
    let input = TopicSpec::input(&broker.name("input"), 3, Some(7));
    for create in [false, true] {
        let error = ensure_topics(&broker.settings, std::slice::from_ref(&input), create).await.unwrap_err();
        let text = error.to_string();
        let command = format!("--create --topic {} --partitions 3 --replication-factor 7", input.name);
        assert!(text.contains(&command), "{text}");
        assert_eq!(error.class(), ErrorClass::Fatal);
    }
    let unknown = partitions_of(&broker.settings, &input.name).await;
    assert!(matches!(unknown, Err(KafkaError::UnknownTopic { .. })), "asking for a topic must not make it");
    Ok(())
}
