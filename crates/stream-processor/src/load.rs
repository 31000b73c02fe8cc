//! How much waits to be committed.

use std::iter::Sum;

use pulse_core::NewRecord;
use pulse_core::ports::StateRecord;

use crate::commit::Done;

/// What waits to be committed, or may.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Load {
    /// Records that were read.
    pub(crate) records: u64,
    /// Bytes that are to be written because of them.
    pub(crate) bytes: usize,
}

impl Load {
    pub(crate) fn of(done: &Done) -> Self {
        let outputs: usize = done.outcome.outputs.iter().map(NewRecord::encoded_bytes).sum();
        Self {
            records: done.outcome.counts.read,
            bytes: outputs + done.state.iter().map(StateRecord::encoded_bytes).sum::<usize>(),
        }
    }

    /// Whether it is as much as `limit` allows, in records or in bytes.
    pub(crate) fn reaches(self, limit: Self) -> bool {
        self.records >= limit.records || self.bytes >= limit.bytes
    }

    /// What one of so many may have of it.
    pub(crate) fn share(self, of: usize) -> Self {
        let of = of.max(1);
        Self { records: (self.records / of as u64).max(1), bytes: (self.bytes / of).max(1) }
    }
}

impl Sum for Load {
    fn sum<I: Iterator<Item = Self>>(loads: I) -> Self {
        loads.fold(Self::default(), |sum, load| Self {
            records: sum.records + load.records,
            bytes: sum.bytes + load.bytes,
        })
    }
}
