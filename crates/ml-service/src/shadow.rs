//! A candidate that scores beside the model in force, so that the difference is seen before it is put in force.
//!
//! # Invariants
//! - Nobody who asks waits for the candidate: what it is too slow for is left out, and counted.
//! - What it says changes no answer.

mod metrics;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::core::Desc;
use prometheus::proto::MetricFamily;
use pulse_core::Matrix;
use pulse_scoring::Model;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use metrics::Comparison;
pub(crate) use metrics::Summary;

/// Batches, and rows in them, that wait for the candidate at the most.
const WAITING: usize = 1024;
const WAITING_ROWS: usize = 1 << 16;
/// Batches that are taken at once.
const AT_ONCE: usize = 16;
/// The place of the candidate of one use case. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Shadow(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    use_case: String,
    comparison: Mutex<Option<Arc<Comparison>>>,
    batches: mpsc::Sender<Batch>,
    room: Arc<Semaphore>,
    /// For whoever works.
    inbox: Mutex<Option<mpsc::Receiver<Batch>>>,
}

/// Rows that the model in force has scored.
#[derive(Debug)]
struct Batch {
    comparison: Arc<Comparison>,
    rows: Matrix,
    scores: Vec<f64>,
    threshold: f64,
    _room: OwnedSemaphorePermit,
}

impl Shadow {
    pub(crate) fn new(use_case: &str) -> Self {
        let (batches, inbox) = mpsc::channel(WAITING);
        let (comparison, inbox) = (Mutex::new(None), Mutex::new(Some(inbox)));
        let room = Arc::new(Semaphore::new(WAITING_ROWS));
        Self(Arc::new(Inner { use_case: use_case.to_owned(), comparison, batches, room, inbox }))
    }

    /// Lets `candidate` score from now on, or nothing. One that is at it goes on.
    pub(crate) fn set(&self, candidate: Option<Arc<Model>>) -> prometheus::Result<()> {
        let compare = |candidate| Comparison::new(&self.0.use_case, candidate).map(Arc::new);
        let mut comparison = self.comparison();
        let same =
            comparison.as_ref().map(|known| known.candidate.version()) == candidate.as_ref().map(|new| new.version());
        if !same {
            *comparison = candidate.map(compare).transpose()?;
        }
        Ok(())
    }

    /// The version of the candidate.
    pub(crate) fn version(&self) -> Option<Arc<str>> {
        self.comparison().as_ref().map(|comparison| Arc::clone(comparison.candidate.version()))
    }

    /// How the candidate compares so far.
    pub(crate) fn summary(&self) -> Option<Summary> {
        self.comparison().as_ref().map(|comparison| comparison.summary())
    }

    /// Takes note of `rows`, which `active` has scored.
    pub(crate) fn observe(&self, active: &Model, rows: &Matrix, scores: &[f64]) {
        let Some(comparison) = self.comparison().clone() else { return };
        // The one in force may be another one by now.
        if comparison.candidate.columns() != active.columns() {
            return;
        }
        let size = u32::try_from(rows.rows().min(WAITING_ROWS)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.0.room).try_acquire_many_owned(size);
        match (self.0.batches.try_reserve(), room) {
            (Ok(place), Ok(room)) => {
                let (rows, scores) = (rows.clone(), scores.to_vec());
                place.send(Batch { comparison, rows, scores, threshold: active.threshold(), _room: room });
            }
            _ => comparison.skipped.inc_by(rows.rows() as u64),
        }
    }

    /// Lets the candidate score, until `stop`. There is one at work; a second one returns at once.
    pub(crate) async fn work(&self, stop: &CancellationToken) {
        let Some(mut inbox) = self.0.inbox.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        loop {
            let mut batches = Vec::new();
            tokio::select! {
                _ = inbox.recv_many(&mut batches, AT_ONCE) => {}
                () = stop.cancelled() => return,
            }
            let told = stop.clone();
            let compare = move || batches.into_iter().take_while(|_| !told.is_cancelled()).for_each(Batch::compare);
            let compared = spawn_blocking(compare).await;
            if let Err(error) = compared {
                tracing::error!(%error, "a candidate failed to score");
            }
        }
    }

    pub(crate) fn collect(&self) -> Vec<MetricFamily> {
        self.comparison().as_ref().map_or_else(Vec::new, |comparison| comparison.collect())
    }

    /// What is said of any candidate.
    pub(crate) fn desc() -> prometheus::Result<Vec<Desc>> {
        Comparison::desc()
    }

    fn comparison(&self) -> MutexGuard<'_, Option<Arc<Comparison>>> {
        self.0.comparison.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Batch {
    fn compare(self) {
        let candidate = &self.comparison.candidate;
        for (active, score) in self.scores.into_iter().zip(candidate.scores(&self.rows)) {
            self.comparison.count(active, self.threshold, score);
        }
    }
}
