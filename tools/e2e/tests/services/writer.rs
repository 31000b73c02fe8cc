//! What the anomaly writer does about a topic that is not as it has to be.

use bytes::Bytes;
use pulse_core::ports::EventProducer as _;
use pulse_core::{Headers, NewRecord};
use pulse_e2e::{Stack, all_records, until};
use pulse_kafka::KafkaProducer;

/// The `max.message.bytes` of the topics that the services make.
const LIMIT: usize = 4 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_too_large_to_be_set_aside_and_a_topic_made_anew() -> anyhow::Result<()> {
    let stack = Stack::start().await?;
    let mut writer = stack.service("anomaly-writer", "nyc_taxi", &[])?;
    writer.ready().await?;
    // It just fits; with its reasons and its origin it does not.
    let record = NewRecord {
        topic: "anomalies".into(),
        partition: Some(3),
        timestamp: 1,
        key: None,
        payload: Bytes::from(vec![b'x'; LIMIT - 200]),
        headers: Headers::default(),
    };
    let small = NewRecord { payload: Bytes::from_static(b"small"), ..record.clone() };
    KafkaProducer::new(&stack.kafka_settings())?.append(vec![record, small]).await?;
    until("dead letters", async || Ok(writer.metric("pulse_writer_dead_letters_total", "").await? >= 2.0)).await?;
    assert!((writer.metric("pulse_writer_cut_dead_letters_total", "").await? - 1.0).abs() < 1e-9);
    until("a stored position", async || {
        Ok(stack.database.psql("SELECT max(next_offset) FROM writer_positions")? == "2")
    })
    .await?;
    writer.stop().await?;
    let letters = all_records(&stack.kafka_settings(), "anomalies.dlq").await?;
    let letters = letters.iter().flat_map(|batch| &batch.records);
    let mut letters: Vec<_> = letters
        .map(|letter| (letter.headers.get_str("pulse-origin").unwrap_or_default(), letter.payload.len()))
        .collect();
    letters.sort_unstable();
    assert_eq!(letters, [("anomalies/3/0", 64 << 10), ("anomalies/3/1", 5)]);

    // As if the topic had been made anew: it ends before the stored position.
    stack.database.psql("UPDATE writer_positions SET next_offset = 1000")?;
    let mut writer = stack.service("anomaly-writer", "nyc_taxi", &[])?;
    let said = writer.says("DELETE FROM writer_positions WHERE topic = 'anomalies'").await?;
    assert!(said.contains("ends at 2") && said.contains("up to 1000"), "{said}");
    assert_eq!(writer.end().await?.code(), Some(1));
    Ok(())
}
