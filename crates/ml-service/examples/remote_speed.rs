//! Rows a second of the remote scorer over loopback, beside the local one: `cargo run --release -p pulse-ml-service --example remote_speed`.
//!
//! Client and server share this process's cores.
#![expect(clippy::print_stdout, reason = "an example prints")]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use pulse_core::Matrix;
use pulse_core::ports::Scorer;
use pulse_features::{Featurizer, Need, UseCaseDir};
use pulse_ml_service::{Limits, Management, MlService, ModelSlot, ServedUseCase, run, train_from_sample};
use pulse_runtime::Health;
use pulse_scoring::{LocalScorer, Model, RemoteOptions, RemoteScorer};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const BATCH: usize = 2048;
const BATCHES: usize = 400;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let dir = UseCaseDir::load(Path::new("usecases"), "nyc_taxi")?;
    let slot = ModelSlot::warming_up("training");
    let model = train_from_sample(&dir, &slot)?;
    let rows = Arc::new(batch(&dir, &model)?);

    let served = ServedUseCase::new(&dir, None, slot)?;
    let service = MlService::new(
        vec![served],
        Limits::default(),
        Management::Open,
        prometheus::Registry::new(),
        Health::starting("training"),
    )?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let stop = CancellationToken::new();
    let serving = tokio::spawn(run(listener, service, stop.clone()));
    let remote = RemoteScorer::connect(&url, "nyc_taxi", RemoteOptions::default(), |_| {}).await?;
    let remote = Arc::new(remote.ok_or("the service has no model")?);
    let local = Arc::new(LocalScorer::new(model));

    for threads in [1, 2, 4] {
        println!("local,  {threads} at once: {:>9.0} rows/s", speed(&local, &rows, threads).await?);
        println!("remote, {threads} at once: {:>9.0} rows/s", speed(&remote, &rows, threads).await?);
    }
    stop.cancel();
    Ok(serving.await??)
}

/// Replayed trips, as the model sees them.
fn batch(dir: &UseCaseDir, model: &Model) -> Result<Matrix, Failure> {
    let mut featurizer = Featurizer::new(dir)?;
    let sample = dir.sample()?.ok_or("there is no sample")?;
    let places: Option<Vec<usize>> = model.columns().iter().map(|name| featurizer.column(name)).collect();
    let mut rows = Matrix::with_capacity(featurizer.columns().len(), BATCH);
    let mut row = Vec::new();
    for sampled in sample.replay().iter().take(BATCH) {
        if featurizer.decode(&serde_json::to_vec(&sampled.event)?, Need::Features, &mut row).is_ok() {
            rows.push(&row);
        }
    }
    Ok(rows.select(&places.ok_or("the model wants another column")?))
}

/// Scores the batch again and again, on so many threads, as the workers of the stream processor do.
async fn speed<S: Scorer>(scorer: &Arc<S>, rows: &Arc<Matrix>, threads: usize) -> Result<f64, S::Error> {
    let started = Instant::now();
    let mut calls = JoinSet::new();
    for _ in 0..threads {
        let (scorer, rows, runtime) = (Arc::clone(scorer), Arc::clone(rows), Handle::current());
        calls.spawn_blocking(move || {
            (0..BATCHES / threads).try_for_each(|_| runtime.block_on(scorer.score(&rows)).map(drop))
        });
    }
    for ended in calls.join_all().await {
        ended?;
    }
    let scored = BATCHES / threads * threads * rows.rows();
    Ok(scored as f64 / started.elapsed().as_secs_f64())
}
