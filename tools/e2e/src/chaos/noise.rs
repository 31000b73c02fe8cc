//! Records that are no events, all the time, so that there are dead letters.

use std::time::Duration;

use bytes::Bytes;
use pulse_core::ports::{Clock as _, EventProducer as _};
use pulse_core::{Headers, NewRecord};
use pulse_kafka::{KafkaProducer, KafkaSettings};
use pulse_runtime::SystemClock;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::stack::PATIENCE;

const EVERY: Duration = Duration::from_millis(250);
/// What no use case takes for an event.
const PAYLOADS: [&[u8]; 5] = [b"{\"broken\":", b"", b"[]", b"\xff\xfe\x00", b"{}"];
/// Enough of them to come to all partitions.
const KEYS: usize = 60;

/// Sends them until it is stopped.
#[derive(Debug)]
pub(super) struct Noise {
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Noise {
    pub(super) fn start(kafka: &KafkaSettings, topic: &str) -> anyhow::Result<Self> {
        let (stop, producer) = (CancellationToken::new(), KafkaProducer::new(kafka)?);
        let task = tokio::spawn(send(producer, topic.to_owned(), stop.clone()));
        Ok(Self { stop, task })
    }

    /// Stops, and waits until what was sent is there.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, &mut self.task).await??
    }
}

impl Drop for Noise {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn send(mut producer: KafkaProducer, topic: String, stop: CancellationToken) -> anyhow::Result<()> {
    for number in (0..KEYS).cycle() {
        let record = |payload: &'static [u8]| NewRecord {
            topic: topic.as_str().into(),
            partition: None,
            timestamp: SystemClock.now().as_millisecond(),
            key: Some(Bytes::from(format!("noise-{number}"))),
            payload: Bytes::from_static(payload),
            headers: Headers::default(),
        };
        producer.append(vec![record(PAYLOADS[number % PAYLOADS.len()])]).await?;
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
    Ok(())
}
