//! The partitions that are ours: being taken over, read, or on their way to somebody else.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::commit::Assignment;

/// Partitions by number, and when something is to be done about them.
#[derive(Debug, Default)]
pub(crate) struct Holdings {
    held: HashMap<u32, Holding>,
    /// Assignments so far.
    assignments: u64,
    /// Lost partitions, and when they are taken back; the earliest first.
    take_back: VecDeque<(Instant, Assignment)>,
}

#[derive(Debug)]
struct Holding {
    number: u64,
    stage: Stage,
    /// Up to where it was read; none before its first records.
    read_to: Option<u64>,
    /// Whether it is not read for now, as too much of it waits to be committed.
    is_full: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It is being taken over.
    Coming,
    Read,
    /// The group wants to give it to somebody else, who has until then to take it.
    Leaving(Instant),
    /// Somebody else has it, but the group still calls it ours.
    Lost,
}

impl Stage {
    fn is_read(self) -> bool {
        matches!(self, Self::Read | Self::Leaving(_))
    }
}

impl Holdings {
    /// A partition is ours from now on, whatever it was before.
    pub(crate) fn assign(&mut self, partition: u32) -> Assignment {
        self.assignments += 1;
        let number = self.assignments;
        self.held.insert(partition, Holding { number, stage: Stage::Coming, read_to: None, is_full: false });
        Assignment { partition, number }
    }

    /// It was taken over; false when it is no longer wanted.
    pub(crate) fn take_over(&mut self, assignment: Assignment) -> bool {
        let Some(holding) = self.current(assignment) else { return false };
        holding.stage = Stage::Read;
        true
    }

    /// It was read up to `offset`.
    pub(crate) fn read_to(&mut self, partition: u32, offset: u64) {
        if let Some(holding) = self.held.get_mut(&partition) {
            holding.read_to = Some(offset);
        }
    }

    /// Too much of it waits to be committed. True when it is not to be read for now.
    pub(crate) fn fill(&mut self, assignment: Assignment) -> bool {
        let Some(holding) = self.current(assignment) else { return false };
        holding.is_full = holding.read_to.is_some() && holding.stage.is_read();
        holding.is_full
    }

    /// There is room for more of it: the offset from which it is read on. One that is leaving us is not, since sources let go
    /// of those for good.
    pub(crate) fn resume(&mut self, assignment: Assignment) -> Option<u64> {
        let holding = self.current(assignment)?;
        let was_full = std::mem::take(&mut holding.is_full);
        holding.read_to.filter(|_| was_full && holding.stage == Stage::Read)
    }

    /// Whether one is not read for now.
    pub(crate) fn is_any_full(&self) -> bool {
        self.held.values().any(|holding| holding.is_full && holding.stage == Stage::Read)
    }

    /// The group takes it away. True when it is read on until somebody else takes it, at the latest until `until`.
    pub(crate) fn revoke(&mut self, partition: u32, until: Instant) -> bool {
        match self.held.get_mut(&partition) {
            Some(Holding { stage: stage @ Stage::Read, .. }) => {
                *stage = Stage::Leaving(until);
                true
            }
            _ => {
                self.held.remove(&partition);
                false
            }
        }
    }

    /// Somebody else has it. True when that was to be: then it is ours no more. Else it is to be taken back after a while.
    pub(crate) fn lose(&mut self, assignment: Assignment, after: Duration) -> bool {
        let Some(holding) = self.current(assignment) else { return false };
        if let Stage::Leaving(_) = holding.stage {
            self.held.remove(&assignment.partition);
            return true;
        }
        holding.stage = Stage::Lost;
        self.take_back.push_back((Instant::now() + after, assignment));
        false
    }

    /// When there is something to be taken back.
    pub(crate) fn take_back_at(&self) -> Option<Instant> {
        self.take_back.front().map(|(at, _)| *at)
    }

    /// What was lost long enough ago, and is still said to be ours.
    pub(crate) fn take_back(&mut self) -> Vec<u32> {
        let mut ours = Vec::new();
        while let Some((_, assignment)) = self.take_back.pop_front_if(|(at, _)| *at <= Instant::now()) {
            if self.current(assignment).is_some_and(|holding| holding.stage == Stage::Lost) {
                ours.push(assignment.partition);
            }
        }
        ours
    }

    /// Those that are on their way to somebody else.
    pub(crate) fn leaving(&self) -> Vec<u32> {
        let leaving =
            |(&partition, holding): (&u32, &Holding)| matches!(holding.stage, Stage::Leaving(_)).then_some(partition);
        self.held.iter().filter_map(leaving).collect()
    }

    /// Lets go of what nobody has taken in time.
    pub(crate) fn give_up(&mut self) -> Vec<u32> {
        let now = Instant::now();
        let overdue = |_: &u32, holding: &mut Holding| matches!(holding.stage, Stage::Leaving(until) if until <= now);
        self.held.extract_if(overdue).map(|(partition, _)| partition).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }

    /// How many are being taken over.
    pub(crate) fn coming(&self) -> usize {
        self.held.values().filter(|holding| holding.stage == Stage::Coming).count()
    }

    /// How many are being read.
    pub(crate) fn read(&self) -> usize {
        self.held.values().filter(|holding| holding.stage.is_read()).count()
    }

    fn current(&mut self, Assignment { partition, number }: Assignment) -> Option<&mut Holding> {
        self.held.get_mut(&partition).filter(|holding| holding.number == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(1);

    fn read(holdings: &mut Holdings, partition: u32) -> Assignment {
        let assignment = holdings.assign(partition);
        assert!(holdings.take_over(assignment));
        assignment
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_read_is_read_on_until_somebody_takes_it() {
        let mut holdings = Holdings::default();
        let (taken, coming) = (read(&mut holdings, 0), holdings.assign(1));
        assert_eq!(holdings.coming(), 1);
        read(&mut holdings, 2);
        let until = Instant::now() + SOON;
        assert!(holdings.revoke(0, until));
        assert!(!holdings.revoke(1, until), "it was not read yet");
        assert!(holdings.revoke(2, until));
        assert!(!holdings.take_over(coming));
        assert_eq!((holdings.len(), holdings.read(), holdings.coming()), (2, 2, 0));
        assert!(holdings.lose(taken, SOON));
        assert_eq!((holdings.leaving(), holdings.give_up()), (vec![2], vec![]));
        tokio::time::advance(SOON).await;
        assert_eq!((holdings.give_up(), holdings.take_back()), (vec![2], vec![]));
        assert!(holdings.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_lost_and_still_ours_is_taken_back() {
        let mut holdings = Holdings::default();
        let [first, second, third] = [0, 1, 2].map(|partition| read(&mut holdings, partition));
        assert!(!holdings.lose(first, SOON) && !holdings.lose(second, SOON) && !holdings.lose(third, SOON));
        assert_eq!(holdings.read(), 0);
        assert!(!holdings.revoke(1, Instant::now()), "somebody else has it already");
        read(&mut holdings, 2);
        assert_eq!(holdings.take_back(), Vec::<u32>::new());
        tokio::time::advance(SOON).await;
        assert!(holdings.take_back_at().is_some_and(|at| at <= Instant::now()));
        assert_eq!(holdings.take_back(), [0]);
        assert_eq!(holdings.take_back_at(), None);
    }

    #[tokio::test]
    async fn what_is_full_is_read_on_where_it_was_unless_it_is_leaving() {
        let mut holdings = Holdings::default();
        let (first, second) = (read(&mut holdings, 0), read(&mut holdings, 1));
        assert!(!holdings.fill(first), "nothing of it was read yet");
        holdings.read_to(0, 5);
        holdings.read_to(1, 7);
        assert_eq!(holdings.resume(first), None, "it was not full");
        assert!(holdings.fill(first) && holdings.fill(second) && holdings.is_any_full());
        assert!(holdings.revoke(1, Instant::now() + SOON));
        assert_eq!((holdings.resume(first), holdings.resume(second)), (Some(5), None));
        assert!(!holdings.is_any_full());
        let anew = holdings.assign(0);
        assert!(!holdings.fill(first) && !holdings.fill(anew));
    }

    #[tokio::test]
    async fn an_assignment_anew_makes_the_one_before_void() {
        let mut holdings = Holdings::default();
        let before = read(&mut holdings, 0);
        assert!(holdings.revoke(0, Instant::now()));
        let now = holdings.assign(0);
        assert!(!holdings.lose(before, SOON) && !holdings.take_over(before));
        assert!(holdings.leaving().is_empty() && holdings.take_over(now));
    }
}
