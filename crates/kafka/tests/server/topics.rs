//! Making and checking topics.

use pulse_core::{Classify as _, ErrorClass};
use pulse_kafka::{KafkaError, StartAt, TopicSpec, ensure_topics, partitions_of};
use pulse_testkit::contract::restore;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::client::DefaultClientContext;

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
    for (partitions, mend) in [(4, "--alter --topic"), (2, "delete the topic")] {
        let error = ensure_topics(&broker.settings, &[state(&broker, partitions)], false).await.unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, KafkaError::WrongTopic { found, .. } if found == "3") && text.contains(mend), "{text}");
    }
    Ok(())
}

#[tokio::test]
async fn state_grows_with_its_input() -> anyhow::Result<()> {
    let broker = Broker::shared().await?;
    ensure_topics(&broker.settings, &[state(&broker, 2)], true).await?;
    ensure_topics(&broker.settings, &[state(&broker, 4)], true).await?;
    let name = broker.name("state");
    until_it_has(&broker, &name, 4).await?;

    broker.create_topic("input", 2).await?;
    let committer = broker.committer("workers", "input", StartAt::Earliest).await;
    restore(&committer, &[0, 1]).await?;
    let input = broker.name("input");
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &broker.settings.brokers).create()?;
    admin.create_partitions(&[NewPartitions::new(&input, 5)], &AdminOptions::new()).await?;
    until_it_has(&broker, &input, 5).await?;
    let refused = restore(&committer, &[2, 4]).await.unwrap_err();
    assert!(refused.to_string().contains("--partitions 5"), "{refused}");
    let committer = committer.port.growing(true);
    // Brokers may not know the new partitions at once.
    let mut restored = restore(&committer, &[2, 4]).await;
    for _ in 0..100 {
        if restored.is_ok() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        restored = restore(&committer, &[2, 4]).await;
    }
    for restored in restored? {
        assert_eq!(restored.start, 0);
    }
    Ok(())
}

async fn until_it_has(broker: &Broker, topic: &str, partitions: u32) -> anyhow::Result<()> {
    for _ in 0..300 {
        if partitions_of(&broker.settings, topic).await? == partitions {
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    anyhow::bail!("{topic} did not get {partitions} partitions")
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
