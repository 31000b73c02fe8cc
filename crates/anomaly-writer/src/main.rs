//! The `anomaly-writer` binary: takes anomalies from Kafka into Postgres, each exactly once.

use std::convert::Infallible;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::anyhow;
use pulse_anomaly_writer::{Metrics, WriterError, WriterOptions};
use pulse_backends::{Kafka, postgres, show_lost_records};
use pulse_core::names::{GROUP_WRITER, TOPIC_ANOMALIES};
use pulse_kafka::{KafkaError, KafkaProducer, KafkaSource};
use pulse_runtime::{Service, Stage, Starting, Uses, chain};
use pulse_store::PostgresError;
use tokio_util::sync::CancellationToken;

const RETAIN_EVERY: Duration = Duration::from_secs(3600);

const SERVICE: Service = Service {
    name: "anomaly-writer",
    about: "Takes anomalies from Kafka into Postgres, each exactly once.",
    listen: |listen| listen.writer,
    port: "writer.port",
    uses: &[Uses::Kafka, Uses::Postgres],
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
        let ended = pulse_anomaly_writer::run(source, anomalies, dead_letters, options, metrics, health, stop).await;
        ended.map(drop).map_err(explain)
    });
    starting.group.spawn(Stage::Sink, "retention", |stop| async move {
        keep_small(|| store.retain(max_age), stop).await;
        Ok::<_, Infallible>(())
    });
    Ok(())
}

/// Drops what is too old, once an hour. The first time that may take minutes, for which nobody who stops us has to wait:
/// what `retain` was about to drop, the next run drops.
async fn keep_small<T, F: Future<Output = Result<T, PostgresError>>>(retain: impl Fn() -> F, stop: CancellationToken) {
    let hourly = async {
        loop {
            if let Err(error) = retain().await {
                tracing::warn!(reason = chain(&error), "retention failed: trying again in an hour");
            }
            tokio::time::sleep(RETAIN_EVERY).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = hourly => {}
    }
}

/// Says what is to be done about a topic that ends before the stored positions. They are in the database and not in the
/// group, so that what helps other members of groups does not help here.
fn explain(error: WriterError) -> anyhow::Error {
    let WriterError::Source(source) = &error else { return error.into() };
    let Some(KafkaError::BeyondEnd { topic, partition, end, position, .. }) = source.downcast_ref() else {
        return error.into();
    };
    anyhow!(
        "partition {partition} of topic {topic:?} ends at {end}, and the database says that it is stored up to {position}: \
         the topic was made anew, or lost records. To read it from its beginning, stop all writers and run, in the database, \
         `DELETE FROM writer_positions WHERE topic = '{topic}'`; no anomaly is stored twice by that"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stop_waits_for_no_retention() {
        let stop = CancellationToken::new();
        let kept = tokio::spawn(keep_small(std::future::pending::<Result<(), PostgresError>>, stop.clone()));
        tokio::task::yield_now().await;
        stop.cancel();
        tokio::time::timeout(Duration::from_secs(30), kept).await.unwrap().unwrap();
    }

    #[test]
    fn a_topic_that_was_made_anew_is_answered_with_the_rows_to_delete() {
        let beyond = KafkaError::BeyondEnd {
            topic: "anomalies".to_owned(),
            partition: 3,
            end: 5,
            position: 90,
            group: GROUP_WRITER.to_owned(),
        };
        let said = chain(explain(WriterError::Source(Box::new(beyond))).as_ref());
        assert!(said.contains("DELETE FROM writer_positions WHERE topic = 'anomalies'"), "{said}");
        assert!(!said.contains("kafka-consumer-groups"), "{said}");
        let other = chain(explain(WriterError::Source(Box::new(KafkaError::Closed))).as_ref());
        assert_eq!(other, "cannot read anomalies from the log: the client for Kafka is closed");
    }
}
