//! What the anomaly writer does about a topic that is not as it has to be.

use bytes::Bytes;
use pulse_core::ports::EventProducer as _;
use pulse_core::{Headers, NewRecord};
use pulse_e2e::{Stack, all_records, get, until};
use pulse_kafka::KafkaProducer;
use pulse_testkit::anomaly_record;

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

/// What Postgres says when it has no room: the writer waits, says so, and goes on when there is some.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_database_is_waited_for() -> anyhow::Result<()> {
    let stack = Stack::start().await?;
    let mut writer = stack.service("anomaly-writer", "nyc_taxi", &[])?;
    writer.ready().await?;
    stack.database.psql(
        "CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN RAISE EXCEPTION 'No space left on device' USING ERRCODE = '53100'; END $$; \
         CREATE TRIGGER fill BEFORE INSERT ON anomalies FOR EACH ROW EXECUTE FUNCTION fill()",
    )?;
    let records = (0..20).map(anomaly_record).collect::<Result<Vec<NewRecord>, _>>()?;
    KafkaProducer::new(&stack.kafka_settings())?.append(records).await?;
    let url = writer.url().await?;
    until("a writer that says that the database is full", async || {
        let ready = get(&format!("{url}/ready"))?;
        Ok(ready.status == 503 && ready.body.contains("is full: make room"))
    })
    .await?;
    assert_eq!(get(&format!("{url}/live"))?.status, 200, "to be restarted would not help");
    assert!(writer.metric("pulse_writer_retries_total", "").await? >= 1.0);
    assert_eq!(stack.count().await?, 0);
    stack.database.psql("DROP TRIGGER fill ON anomalies")?;
    writer.ready().await?;
    until("all anomalies", async || Ok(stack.count().await? >= 20)).await?;
    assert_eq!(stack.database.psql("SELECT count(DISTINCT id) FROM anomalies")?, "20");
    writer.stop().await?;
    Ok(())
}
