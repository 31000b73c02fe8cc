//! When the committed offset of each partition moved.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pulse_kafka::Onlooker;
use tokio::task::JoinHandle;

const LOOK_EVERY: Duration = Duration::from_millis(5);
/// What a processor had under way when it was killed is done by then, by the brokers.
const UNDER_WAY: Duration = Duration::from_millis(200);

/// Offsets, and when each was seen first.
type Moves = BTreeMap<u32, Vec<(Instant, u64)>>;

/// A partition stood still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pause {
    pub(super) partition: u32,
    pub(super) length: Duration,
    /// When it went on.
    pub(super) end: Instant,
}

/// Looks at a group all the time.
#[derive(Debug)]
pub(super) struct Watch {
    moves: Arc<Mutex<Moves>>,
    /// When each look ended.
    looks: Arc<Mutex<Vec<Instant>>>,
    task: JoinHandle<()>,
}

impl Watch {
    pub(super) fn new(onlooker: Onlooker) -> Self {
        let (moves, looks): (Arc<Mutex<Moves>>, Arc<Mutex<Vec<Instant>>>) = Default::default();
        let (seen, looked) = (Arc::clone(&moves), Arc::clone(&looks));
        let task = tokio::spawn(async move {
            loop {
                // A look that failed shows as a long time between two.
                if let Ok(committed) = onlooker.committed().await {
                    let now = Instant::now();
                    note(&mut lock(&seen), committed, now);
                    lock(&looked).push(now);
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        });
        Self { moves, looks, task }
    }

    /// How many partitions have moved since `from`.
    pub(super) fn moved_since(&self, from: Instant) -> usize {
        lock(&self.moves).values().filter(|moves| moves.last().is_some_and(|(at, _)| *at > from)).count()
    }

    /// The longest time between two moves of any of `partitions`, as far as it lies behind `from`. None as long as one of them
    /// has not moved since `until`.
    pub(super) fn longest_pause(&self, partitions: &[u32], from: Instant, until: Instant) -> Option<Pause> {
        let moves = lock(&self.moves);
        let pauses = partitions.iter().map(|&partition| pause(partition, moves.get(&partition)?, from, until));
        pauses.collect::<Option<Vec<_>>>()?.into_iter().max_by_key(|pause| pause.length)
    }

    /// When each of `partitions` moved the first time after the death of its processor at `death`; none as long as one has not.
    /// What the dead one had committed is not taken for a move.
    pub(super) fn first_moves(&self, partitions: &[u32], death: Instant) -> Option<Vec<Instant>> {
        // The second look began later for sure.
        let settled = *lock(&self.looks).iter().filter(|look| **look > death + UNDER_WAY).nth(1)?;
        let moves = lock(&self.moves);
        let first = |partition| moves.get(partition)?.iter().map(|(at, _)| *at).find(|at| *at > settled);
        partitions.iter().map(first).collect()
    }

    /// The longest time between two looks since `from`: what is shorter cannot be seen.
    pub(super) fn blindness(&self, from: Instant) -> Duration {
        let looks = lock(&self.looks);
        let recent: Vec<Instant> = looks.iter().copied().filter(|look| *look > from).collect();
        recent.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn note(moves: &mut Moves, committed: BTreeMap<u32, u64>, now: Instant) {
    for (partition, offset) in committed {
        let of_partition = moves.entry(partition).or_default();
        if of_partition.last().is_none_or(|(_, before)| *before < offset) {
            of_partition.push((now, offset));
        }
    }
}

/// The longest time between two moves of which the later one lies behind `from`, up to the first one behind `until`.
fn pause(partition: u32, moves: &[(Instant, u64)], from: Instant, until: Instant) -> Option<Pause> {
    let end = moves.iter().position(|(at, _)| *at > until)?;
    let pairs = moves[..=end].windows(2).filter(|pair| pair[1].0 > from);
    let pauses = pairs.map(|pair| Pause { partition, length: pair[1].0 - pair[0].0, end: pair[1].0 });
    pauses.max_by_key(|pause| pause.length)
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_lies_between_two_moves() {
        let begin = Instant::now();
        let at = |ms: u64| begin + Duration::from_millis(ms);
        let moves = [(at(0), 1), (at(500), 2), (at(510), 3), (at(900), 4), (at(2900), 5)];
        let longest = |from, until| pause(0, &moves, at(from), at(until)).map(|pause| pause.length.as_millis());
        assert_eq!(longest(505, 890), Some(390), "what ended before does not count");
        assert_eq!(longest(400, 890), Some(500), "what ended within does");
        assert_eq!(longest(505, 1000), Some(2000), "what was under way at the end counts in full");
        assert_eq!(longest(505, 2900), None, "it has not moved since");
    }

    #[test]
    fn only_a_higher_offset_is_a_move() {
        let (mut moves, begin) = (Moves::new(), Instant::now());
        for offset in [3, 3, 4] {
            note(&mut moves, BTreeMap::from([(1, offset)]), begin);
        }
        assert_eq!(moves[&1].iter().map(|(_, offset)| *offset).collect::<Vec<_>>(), [3, 4]);
    }
}
