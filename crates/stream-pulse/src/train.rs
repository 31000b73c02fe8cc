//! `train`: a new version of a use case's model, from files or from its sample.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use pulse_core::ports::{Clock, TopicReader};
use pulse_features::UseCaseDir;
use pulse_ml_service::{
    Files, Provenance, Quality, Registry, Trained, train_from_files, train_from_topic, train_on_sample,
};
use pulse_runtime::{SettingsSources, SystemClock};
use pulse_scoring::{Model, ModelInfo};
use pulse_store::EmbeddedStore;
use serde::Serialize;
use serde_json::json;

use crate::cli::{Source, TrainArgs};
use crate::models::use_case_dir;
use crate::summary::thousands;
use crate::up::STORE_FILE;

const BYTES_BAR: &str = "{elapsed_precise} {bar:24} {percent:>3}%  {binary_bytes_per_sec}  {msg}";
const EVENTS_BAR: &str = "{elapsed_precise} {bar:24} {percent:>3}%  {human_pos} of {human_len} events  {msg}";

/// What was done.
#[derive(Debug, Serialize)]
struct Report<'a> {
    use_case: &'a str,
    active: bool,
    rows_left_out: u64,
    quality: Option<Quality>,
    #[serde(flatten)]
    model: &'a ModelInfo,
}

/// Trains, stores and, unless told otherwise, activates a version.
///
/// # Errors
/// When there is nothing to train on, or the version cannot be stored.
#[expect(clippy::print_stdout, reason = "the report is the answer of this command")]
pub async fn run(args: TrainArgs) -> anyhow::Result<()> {
    let dir = use_case_dir(args.usecases.as_deref(), &args.name)?;
    let registry = Registry::new(&dir)?;
    // Held to the end.
    let _lock = registry.lock()?;
    let (trained, source) = if args.from.is_some() {
        (of_topic(&dir, &args).await?, format!("topic {}", dir.use_case.topic))
    } else if args.files.is_empty() {
        anyhow::ensure!(args.label.is_none(), "--label needs events: sample.csv has its labels in a column of its own");
        (of_sample(&dir)?, "sample.csv".to_owned())
    } else {
        let names: Vec<String> = args.files.iter().map(|path| path.display().to_string()).collect();
        (of_files(&dir, &args)?, names.join(", "))
    };
    if let Some(fault) = trained.first_fault.as_ref().filter(|_| trained.left_out > 0 && !args.json) {
        println!(
            "{} of {} events are not valid, and were left out; the first: {fault}",
            trained.left_out, trained.read
        );
    }
    let Trained { model, left_out: rows_left_out, quality, .. } = trained;
    let trained_at = SystemClock.now().to_string();
    registry.save(&model, Provenance { trained_at, source, rows_left_out, quality })?;
    if !args.no_activate {
        registry.activate(model.version(), None)?;
    }
    let active = registry.standing()?.active.as_deref() == Some(&**model.version());
    let report = Report { use_case: &args.name, active, rows_left_out, quality, model: model.info() };
    if args.json {
        println!("{}", json!(report));
    } else {
        print!("{}", text(&report, &model));
    }
    Ok(())
}

fn of_sample(dir: &UseCaseDir) -> anyhow::Result<Trained> {
    train_on_sample(dir).context("name files to train on, or add sample.csv")
}

fn of_files(dir: &UseCaseDir, args: &TrainArgs) -> anyhow::Result<Trained> {
    let size = |path: &PathBuf| path.metadata().map(|metadata| metadata.len()).unwrap_or_default();
    let bar = progress_bar(BYTES_BAR, args.files.iter().map(size).sum(), args.json);
    let files = Files { paths: args.files.clone(), label: args.label.clone(), max_rows: args.max_rows };
    let trained = train_from_files(dir, &files, |bytes| {
        bar.inc(bytes);
        if bar.position() >= bar.length().unwrap_or_default() {
            bar.set_message("growing the forest");
        }
    });
    bar.finish_and_clear();
    Ok(trained?)
}

async fn of_topic(dir: &UseCaseDir, args: &TrainArgs) -> anyhow::Result<Trained> {
    let data_dir = args.data_dir.as_ref().map(|dir| dir.display().to_string());
    let settings = SettingsSources::from_env().set("data_dir", data_dir).load()?;
    match args.from {
        Some(Source::Log) => {
            let clock: Arc<dyn Clock> = Arc::new(SystemClock);
            let path = settings.data_dir().join(STORE_FILE);
            anyhow::ensure!(path.is_file(), "there is no {}: name its folder by --data-dir", path.display());
            let store = EmbeddedStore::open(&path, clock).await?;
            let trained = of_reader(dir, &mut store.reader(&dir.use_case.topic), args).await;
            store.close().await;
            trained
        }
        #[cfg(feature = "kafka")]
        _ => {
            let kafka = pulse_backends::kafka_settings(settings.kafka());
            of_reader(dir, &mut pulse_kafka::KafkaReader::new(&kafka, &dir.use_case.topic)?, args).await
        }
        #[cfg(not(feature = "kafka"))]
        _ => anyhow::bail!(
            "this program was built without Kafka: build it with `--features kafka`, or use the one of the image"
        ),
    }
}

async fn of_reader(dir: &UseCaseDir, reader: &mut impl TopicReader, args: &TrainArgs) -> anyhow::Result<Trained> {
    let bar = progress_bar(EVENTS_BAR, 0, args.json);
    let label = args.label.as_deref();
    let trained = train_from_topic(dir, reader, args.max_rows, label, |reached| {
        bar.set_length(reached.total);
        bar.set_position(reached.done);
        if reached.done >= reached.total {
            bar.set_message("growing the forest");
        }
    });
    let trained = trained.await;
    bar.finish_and_clear();
    Ok(trained?)
}

/// Drawn on standard error, where that is a terminal.
fn progress_bar(template: &str, total: u64, quiet: bool) -> ProgressBar {
    if quiet || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(total);
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn text(report: &Report<'_>, model: &Model) -> String {
    let info = model.info();
    let rate =
        info.expected_rate.map_or_else(String::new, |rate| format!(", the score of one row in {:.0}", 1.0 / rate));
    let mut lines = vec![
        format!("{} {}", report.use_case, info.version),
        format!(
            "  trained on  {} rows, {} columns, {} trees of {}",
            thousands(info.trained_rows as u64),
            info.columns.len(),
            info.trees,
            info.sample_size
        ),
        format!("  threshold   {:.4}{rate}", info.threshold),
    ];
    if let Some(quality) = report.quality {
        lines.push(format!(
            "  quality     ROC AUC {:.4}, average precision {:.3}; at the threshold precision {:.3}, recall {:.3} ({} anomalies in {} labelled rows)",
            quality.roc_auc, quality.average_precision, quality.precision, quality.recall, quality.anomalies, quality.rows,
        ));
    }
    let state = if report.active {
        "active".to_owned()
    } else {
        format!("stored; `stream-pulse models activate {} {}` puts it in force", report.use_case, info.version)
    };
    lines.push(format!("  state       {state}"));
    lines.join("\n") + "\n"
}
