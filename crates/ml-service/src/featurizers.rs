//! Featurizers for whoever needs one at the moment.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pulse_features::{Column, Featurizer};

/// Spare featurizers of one use case. A request borrows one, so that none is cloned per request.
#[derive(Debug)]
pub(crate) struct Featurizers {
    pool: Mutex<Pool>,
    columns: Vec<Column>,
}

#[derive(Debug)]
struct Pool {
    first: Featurizer,
    spare: Vec<Featurizer>,
}

impl Featurizers {
    pub(crate) fn new(first: Featurizer) -> Self {
        let columns = first.columns().to_vec();
        Self { pool: Mutex::new(Pool { first, spare: Vec::new() }), columns }
    }

    /// The columns of every row.
    pub(crate) fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Runs `work` with a featurizer that nobody else has.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Featurizer) -> T) -> T {
        let mut pool = self.pool();
        let mut featurizer = pool.spare.pop().unwrap_or_else(|| pool.first.clone());
        drop(pool);
        let result = work(&mut featurizer);
        self.pool().spare.push(featurizer);
        result
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        // The lock is held for a push or a pop, which leave the pool whole.
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
