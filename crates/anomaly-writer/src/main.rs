//! The `anomaly-writer` binary: takes anomalies from Kafka into Postgres, each exactly once.

use std::convert::Infallible;
use std::process::ExitCode;
use std::time::Duration;

use pulse_anomaly_writer::{Metrics, WriterOptions};
use pulse_backends::{Kafka, postgres, show_lost_records};
use pulse_core::names::{GROUP_WRITER, TOPIC_ANOMALIES};
use pulse_kafka::{KafkaProducer, KafkaSource};
use pulse_runtime::{Service, Stage, Starting, chain};
use pulse_store::PostgresStore;
use tokio_util::sync::CancellationToken;

const RETAIN_EVERY: Duration = Duration::from_secs(3600);

const SERVICE: Service = Service {
    name: "anomaly-writer",
    about: "Takes anomalies from Kafka into Postgres, each exactly once.",
    listen: |listen| listen.writer,
    port: "writer.port",
};

fn main() -> ExitCode {
    SERVICE.main(start)
}

async fn start(starting: &mut Starting) -> anyhow::Result<()> {
    let kafka = Kafka::connect(starting).await?;
    kafka.topics_of_writer().await?;
    let store = postgres::open(starting, SERVICE.name).await?;
    let source = KafkaSource::new(kafka.settings(), GROUP_WRITER, TOPIC_ANOMALIES)?;
    show_lost_records(&starting.registry, source.lost_records())?;
    let dead_letters = KafkaProducer::new(kafka.settings())?;
    let (metrics, health) = (Metrics::new(&starting.registry)?, starting.health.clone());
    let settings = starting.settings.writer();
    let options = WriterOptions {
        batch_records: settings.batch_records,
        linger: settings.linger,
        // Kafka keeps what is not stored yet.
        drain: Duration::ZERO,
        ..WriterOptions::default()
    };
    let (anomalies, max_age) = (store.anomaly_store(), starting.settings.retention().anomaly_max_age);
    health.set_not_ready("waiting for partitions");
    starting.group.spawn(Stage::Sink, SERVICE.name, |stop| async move {
        pulse_anomaly_writer::run(source, anomalies, dead_letters, options, metrics, health, stop).await.map(drop)
    });
    starting.group.spawn(Stage::Sink, "retention", |stop| keep_small(store, max_age, stop));
    Ok(())
}

/// Drops what is too old, once an hour.
async fn keep_small(store: PostgresStore, max_age: Duration, stop: CancellationToken) -> Result<(), Infallible> {
    loop {
        if let Err(error) = store.retain(max_age).await {
            tracing::warn!(reason = chain(&error), "retention failed: trying again in an hour");
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(RETAIN_EVERY) => {}
        }
    }
}
