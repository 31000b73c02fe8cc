//! `up`: simulator, stream processor, ML service, anomaly writer and dashboard in one process, on one file.

mod endpoints;
mod model;
mod options;
mod status;
mod stop;
mod storage;

use std::io::IsTerminal;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use pulse_anomaly_writer as writer;
use pulse_core::names::{GROUP_WRITER, TOPIC_ANOMALIES, processor_group, state_topic};
use pulse_core::ports::Clock;
use pulse_features::{Featurizer, UseCaseDir};
use pulse_ml_service::ModelSlot;
use pulse_pipeline::{ColumnBuckets, Plan};
use pulse_runtime::{ServiceGroup, Settings, SettingsSources, Stage, SystemClock, stop_on_signal, telemetry};
use pulse_scoring::{LocalScorer, Model};
use pulse_simulator as simulator;
use pulse_store::{EmbeddedStore, Retention};
use pulse_stream_processor::{self as processor, Processor, Progress};
use tokio_util::sync::CancellationToken;

use crate::cli::UpArgs;
use crate::summary::{RunFacts, UpSummary};
use endpoints::Endpoints;
use status::StatusLine;

pub(crate) use storage::FILE as STORE_FILE;

/// What is still running this long after a stop was asked for is aborted: more than all drains together.
const STOP_DEADLINE: Duration = Duration::from_secs(45);
/// Records that may be under way between simulator and verdict: enough to keep every core busy, few enough to keep up.
const MAX_IN_FLIGHT: u64 = 32_768;

/// Runs `up` until it is told to stop.
///
/// # Errors
/// When something cannot be started, or failed for good.
pub async fn run(args: UpArgs) -> anyhow::Result<()> {
    let started = Instant::now();
    let settings = settings(&args)?;
    let simulate = options::simulator(&args, settings.simulator());
    let line = StatusLine::new(simulate.events);
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    telemetry::init_with_writer(settings.log().format, settings.log().level, colours, line.clone())?;
    let dir = Arc::new(UseCaseDir::load(settings.usecases(), settings.use_case())?.with_models_in(settings.models()));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let endpoints = Endpoints::bind(&settings).await?;
    let store = storage::open(&settings, &dir.use_case, Arc::clone(&clock)).await?;
    let stop = CancellationToken::new();
    let mut group = ServiceGroup::new(stop.clone());
    let slot = ModelSlot::warming_up("reading the sample");
    let services = endpoints.serve(&mut group, &dir, &slot, &store, &clock)?;
    let model = model::train(&dir, &slot).await?;

    let stored = Arc::new(OnceLock::new());
    let mut run = Run { args, settings, simulate, dir, clock, store, stop, group, services, model, line, stored };
    let progress = run.start_processor()?;
    run.start_writer()?;
    run.spawn_housekeeping();
    let ready = run.start_simulator(&progress, started)?;
    run.finish(progress, started, &ready).await
}

fn settings(args: &UpArgs) -> anyhow::Result<Settings> {
    let data_dir = args.data_dir.as_ref().map(|dir| dir.display().to_string());
    let sources = SettingsSources::from_env().file(args.config.clone());
    Ok(sources.set("use_case", args.use_case.clone()).set("data_dir", data_dir).load()?)
}

/// A run of `up` under construction.
struct Run {
    args: UpArgs,
    settings: Settings,
    simulate: simulator::SimulatorOptions,
    dir: Arc<UseCaseDir>,
    clock: Arc<dyn Clock>,
    store: EmbeddedStore,
    stop: CancellationToken,
    group: ServiceGroup,
    services: endpoints::Services,
    model: Option<Arc<Model>>,
    line: StatusLine,
    /// Anomalies that the writer stored, known at its end.
    stored: Arc<OnceLock<u64>>,
}

impl Run {
    fn start_processor(&mut self) -> anyhow::Result<Arc<Progress>> {
        let featurizer = Featurizer::new(&self.dir)?;
        let columns = self.model.as_ref().map(|model| model.columns());
        let plan = Plan::new(&self.dir, &featurizer, columns)?;
        let plan = Arc::new(plan.counting(ColumnBuckets::of(&self.dir, &featurizer)?));
        let progress = Arc::new(Progress::new(plan.labels()));
        let use_case = &self.dir.use_case;
        let group = processor_group(&use_case.name);
        let processor = Processor {
            source: self.store.source(&group, &use_case.topic),
            committer: self.store.committer(&group, &use_case.topic, &state_topic(&use_case.name)),
            scorer: self.model.clone().map(|model| Arc::new(LocalScorer::new(model))),
            metrics: processor::Metrics::new(&self.services.processor.registry, use_case, &plan)?,
            plan,
            featurizer,
            options: options::processor(self.settings.processor()),
            clock: Arc::clone(&self.clock),
            progress: Arc::clone(&progress),
            health: self.services.processor.health.clone(),
        };
        self.group.spawn(Stage::Transform, "stream-processor", |stop| processor.run(stop));
        Ok(progress)
    }

    fn start_writer(&mut self) -> anyhow::Result<()> {
        let service = &self.services.writer;
        let metrics = writer::Metrics::new(&service.registry)?;
        let source = self.store.source(GROUP_WRITER, TOPIC_ANOMALIES);
        let (anomalies, dead_letters) = (self.store.anomaly_store(), self.store.producer());
        let (health, report) = (service.health.clone(), Arc::clone(&self.stored));
        let options = options::writer(self.settings.writer());
        self.group.spawn(Stage::Sink, "anomaly-writer", |stop| async move {
            let written = writer::run(source, anomalies, dead_letters, options, metrics, health, stop).await?;
            report.get_or_init(|| written.anomalies);
            Ok::<_, writer::WriterError>(())
        });
        Ok(())
    }

    /// Starts the simulator once the processor reads, and gives back when that was. When the simulator ends by itself, so
    /// does the run.
    fn start_simulator(&mut self, progress: &Progress, started: Instant) -> anyhow::Result<Arc<OnceLock<Instant>>> {
        let metrics = simulator::Metrics::new(&self.services.simulator.registry)?;
        let options = self.simulate.clone();
        let backpressure = simulator::Backpressure { processed: progress.processed(), max_in_flight: MAX_IN_FLIGHT };
        let links = simulator::Links {
            clock: Arc::clone(&self.clock),
            metrics,
            progress: Arc::default(),
            backpressure: Some(backpressure),
        };
        let (producer, dir) = (self.store.producer(), Arc::clone(&self.dir));
        let (services, settings) = (self.services.clone(), self.settings.clone());
        let (mut assigned, run_stop) = (progress.assigned(), self.stop.clone());
        let (ready, duration, line) = (Arc::new(OnceLock::new()), self.args.duration, self.line.clone());
        let became_ready = Arc::clone(&ready);
        self.group.spawn(Stage::Source, "simulator", |stop| async move {
            tokio::select! {
                // The processor is gone when there is no answer: the run is stopping.
                reading = assigned.wait_for(|partitions| *partitions > 0) => if reading.is_err() { return Ok(()) },
                () = stop.cancelled() => return Ok(()),
            }
            let since = *became_ready.get_or_init(Instant::now);
            let announcement = services.ready(since - started, &settings);
            // Nobody listens on standard error: no reason not to run.
            line.above(announcement.as_bytes()).unwrap_or_default();
            tokio::spawn(stop::after(duration, run_stop.clone()));
            let simulated = simulator::run(producer, &dir, options, links, stop).await;
            run_stop.cancel();
            simulated.map(drop)
        });
        Ok(ready)
    }

    fn spawn_housekeeping(&self) {
        let retention = self.settings.retention();
        let policy = Retention {
            max_age: Some(retention.max_age),
            max_bytes: Some(retention.max_bytes),
            anomaly_max_age: Some(retention.anomaly_max_age),
        };
        tokio::spawn(storage::keep_small(self.store.clone(), policy, self.stop.clone()));
        tokio::spawn(stop_on_signal(self.stop.clone()));
    }

    /// Waits for the end, then says what the run came to.
    #[expect(clippy::print_stdout, reason = "the summary is the answer of this command")]
    async fn finish(self, progress: Arc<Progress>, started: Instant, ready: &OnceLock<Instant>) -> anyhow::Result<()> {
        let line = tokio::spawn(status::show(self.line, Arc::clone(&progress), self.stop.clone()));
        let ended = self.group.join(STOP_DEADLINE).await;
        self.stop.cancel();
        line.await?;
        self.store.close().await;
        let summary = progress.summary();
        let began = ready.get().copied().unwrap_or(started);
        let facts = RunFacts {
            use_case: self.dir.use_case.name.clone(),
            elapsed: summary.last_commit.map_or(Duration::ZERO, |last| last.saturating_duration_since(began)),
            ready: began.saturating_duration_since(started),
            stored: self.stored.get().copied().unwrap_or(0),
            model_version: self.model.map(|model| model.version().to_string()),
            live: self.simulate.start.is_none(),
        };
        let summary = UpSummary::new(facts, &summary);
        if self.args.json {
            println!("{}", serde_json::to_string(&summary)?);
        } else {
            println!("{summary}");
        }
        Ok(ended?)
    }
}
