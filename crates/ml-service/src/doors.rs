//! How much is answered at once. What is too much is turned away at once, rather than all of it answered slowly.

use std::sync::Arc;
use std::thread::available_parallelism;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;

use crate::problem::Problem;
use crate::service::Limits;

/// Largest bodies that are in memory at once.
const BODIES: usize = 16;

/// Lets so many in.
#[derive(Debug)]
pub(crate) struct Doors {
    limits: Limits,
    requests: Arc<Semaphore>,
    /// KiB of bodies.
    bodies: Arc<Semaphore>,
    batches: Arc<Semaphore>,
    /// Batches are scored by as many threads as there are cores; the others wait for them in the order that they came.
    threads: Arc<Semaphore>,
}

impl Doors {
    pub(crate) fn new(limits: Limits) -> Self {
        let semaphore = |permits: usize| Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS)));
        let threads = semaphore(available_parallelism().map_or(1, usize::from));
        let bodies = semaphore(BODIES * kib(limits.body_bytes));
        Self { limits, requests: semaphore(limits.requests), bodies, batches: semaphore(limits.batches), threads }
    }

    /// Lets a request in.
    pub(crate) fn request(&self) -> Result<Place, Problem> {
        let permit = Arc::clone(&self.requests).try_acquire_owned();
        permit.map(Place).map_err(|_| Problem::overloaded(self.limits.requests, "requests"))
    }

    /// Room for a body, of which nothing has arrived.
    pub(crate) fn room(&self) -> Room {
        Room { bodies: Arc::clone(&self.bodies), taken: None, all: BODIES * self.limits.body_bytes }
    }

    /// Does the work of a batch, where blocking is allowed.
    pub(crate) async fn batch<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let permit = Arc::clone(&self.batches).try_acquire_owned();
        let permit = permit.map_err(|_| Problem::overloaded(self.limits.batches, "batches"))?;
        let broken_off = |error: &dyn std::error::Error| Problem::internal(format!("scoring broke off: {error}"));
        let thread = Arc::clone(&self.threads).acquire_owned().await.map_err(|error| broken_off(&error))?;
        let work = spawn_blocking(move || {
            let done = work();
            // Also where whoever asked has gone.
            drop((permit, thread));
            done
        });
        work.await.map_err(|error| broken_off(&error))
    }
}

/// A request is being answered, until this is dropped.
#[derive(Debug)]
pub(crate) struct Place(#[expect(dead_code, reason = "held, not read")] OwnedSemaphorePermit);

/// What a body takes of the memory that there is for bodies, until this is dropped.
#[derive(Debug)]
pub(crate) struct Room {
    bodies: Arc<Semaphore>,
    taken: Option<OwnedSemaphorePermit>,
    /// Bytes of all bodies together.
    all: usize,
}

impl Room {
    /// Takes what is lacking for a body of which so many bytes have arrived.
    pub(crate) fn grow(&mut self, arrived: usize) -> Result<(), Problem> {
        let taken = self.taken.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let lacking = kib(arrived).saturating_sub(taken);
        if lacking == 0 {
            return Ok(());
        }
        let lacking = u32::try_from(lacking).unwrap_or(u32::MAX);
        let more = Arc::clone(&self.bodies).try_acquire_many_owned(lacking);
        let more = more.map_err(|_| Problem::overloaded(self.all, "bytes of requests"))?;
        match &mut self.taken {
            Some(taken) => taken.merge(more),
            None => self.taken = Some(more),
        }
        Ok(())
    }
}

/// KiB that so many bytes begin.
fn kib(bytes: usize) -> usize {
    bytes / 1024 + 1
}
