//! The `stream-processor` binary: judges the events of the use case, from Kafka to Kafka.

use std::process::ExitCode;
use std::sync::Arc;

use pulse_backends::{Kafka, show_lost_records};
use pulse_core::names::{TOPIC_ANOMALIES, dead_letter_topic, processor_group, state_topic};
use pulse_core::ports::Scorer as _;
use pulse_features::{Featurizer, UseCaseDir};
use pulse_kafka::{KafkaCommitter, KafkaSource};
use pulse_pipeline::{ColumnBuckets, Plan};
use pulse_runtime::{ProcessorSettings, Service, Stage, Starting, Uses};
use pulse_scoring::{EventualScorer, RemoteMetrics, RemoteOptions, RemoteServer, WithoutModel};
use pulse_stream_processor::{Metrics, Options, Processor, Progress};

/// Anomalies that the log shows in a second at the most.
const LOGGED_PER_SECOND: u32 = 10;

const SERVICE: Service = Service {
    name: "stream-processor",
    about: "Reads the events of the use case, judges every one, and emits the anomalies.",
    listen: |listen| listen.processor,
    port: "processor.port",
    uses: &[Uses::Kafka],
};

fn main() -> ExitCode {
    SERVICE.main(start)
}

async fn start(starting: &mut Starting) -> anyhow::Result<()> {
    let dir = UseCaseDir::load(starting.settings.usecases(), starting.settings.use_case())?;
    let featurizer = Featurizer::new(&dir)?;
    let kafka = Kafka::connect(starting).await?;
    kafka.topics_of_processor(&dir.use_case).await?;
    let scorer = scorer(starting, &dir, &featurizer).await?;
    let buckets = ColumnBuckets::of(&dir, &featurizer)?;
    let plan = Plan::new(&dir, &featurizer, scorer.as_ref().map(|scorer| scorer.columns()))?;
    let plan = Arc::new(plan.counting(buckets));
    let (topic, name) = (&dir.use_case.topic, &dir.use_case.name);
    let group = processor_group(name);
    let source = KafkaSource::new(kafka.settings(), &group, topic)?;
    show_lost_records(&starting.registry, source.lost_records())?;
    let metrics = Metrics::new(&starting.registry, &dir.use_case, &plan)?;
    let waits = metrics.retries_of_commits();
    let committer = KafkaCommitter::new(kafka.settings(), &group, topic, &state_topic(name), kafka.start())?
        .growing(kafka.may_create())
        .writing_to([TOPIC_ANOMALIES.to_owned(), dead_letter_topic(topic)])
        .telling_waits(move || waits.inc());
    let processor = Processor {
        source,
        committer,
        scorer: scorer.map(Arc::new),
        metrics,
        progress: Arc::new(Progress::new(plan.labels())),
        plan,
        featurizer,
        options: options(starting.settings.processor()),
        clock: Arc::clone(&starting.clock),
        health: starting.health.clone(),
    };
    starting.group.spawn(Stage::Transform, SERVICE.name, |stop| processor.run(stop));
    Ok(())
}

/// The model of the ML service, once it has one; none where the use case wants none. Where none is coming, the processor goes on by
/// its other detectors, and takes up the first one that there is as it does any other switch of models.
async fn scorer(
    starting: &Starting,
    dir: &UseCaseDir,
    featurizer: &Featurizer,
) -> anyhow::Result<Option<EventualScorer>> {
    let detectors = &dir.use_case.detectors;
    let Some(forest) = &detectors.forest else { return Ok(None) };
    let columns = forest.columns(featurizer.columns().iter().map(|column| &*column.name));
    let without = if detectors.need_a_model() { WithoutModel::Fail } else { WithoutModel::LeaveUnscored };
    let url = &starting.settings.scorer().url;
    starting.health.set_not_ready(format!("waiting for the model of {url}"));
    let waiting = |reason: &str| starting.health.set_not_ready(format!("waiting for the model: {reason}"));
    let server = RemoteServer::new(url, RemoteOptions::default())?;
    let server = server.measured_by(RemoteMetrics::new(&starting.registry)?);
    let scorer = server.eventual_scorer(&dir.use_case.name, columns, without, waiting).await?;
    if scorer.version().is_none() {
        match without {
            WithoutModel::LeaveUnscored => {
                tracing::warn!("judging by the other detectors alone until there is a model");
            }
            WithoutModel::Fail => {
                tracing::warn!("the isolation forest alone decides: events wait until there is a model")
            }
        }
    }
    Ok(Some(scorer))
}

fn options(settings: &ProcessorSettings) -> Options {
    let defaults = Options::default();
    Options {
        workers: settings.workers.unwrap_or(defaults.workers),
        batch_records: settings.batch_records,
        commit_interval: settings.commit_interval,
        snapshot_every: settings.snapshot_every,
        snapshot_at_latest: defaults.snapshot_at_latest.max(settings.snapshot_every),
        logged_per_second: LOGGED_PER_SECOND,
        ..defaults
    }
}
