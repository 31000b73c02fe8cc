//! Which events are anomalies: for every entity, episodes of one or more of its consecutive events.

use std::ops::RangeInclusive;

use pulse_core::use_case::SimulatedAnomaly;
use rand::Rng;
use rand_xoshiro::Xoshiro256PlusPlus;

use super::{Place, random};

/// A stretch is so many times as long as the longest episode: long enough that few episodes are lost at its end.
const EPISODES_PER_STRETCH: u64 = 16;

/// Where episodes lie.
///
/// An entity's events are cut into stretches, each with a generator of its own, from which its episodes are laid out one
/// after another; none reaches over the end. So whether an event lies in one is known without looking at more than its stretch.
#[derive(Debug)]
pub(super) struct Episodes {
    lengths: Vec<RangeInclusive<u32>>,
    /// How likely a kind is taken when it is drawn: such that each kind covers as many events as any other.
    acceptance: Vec<f64>,
    /// Probability that an episode begins at an event behind the last one.
    begins: f64,
    /// Events of a stretch.
    stretch: u64,
}

/// An episode of one entity.
#[derive(Debug, Clone)]
pub(super) struct Episode {
    /// Its kind, by its place among the kinds.
    pub(super) kind: usize,
    /// The entity and its first event.
    pub(super) first: Place,
    /// Number of events.
    pub(super) length: u64,
    /// Where everything else about it is drawn from.
    pub(super) random: Xoshiro256PlusPlus,
}

impl Episodes {
    /// Episodes of `kinds` that together cover the share `rate` of all events.
    pub(super) fn new(kinds: &[SimulatedAnomaly], rate: f64) -> Self {
        let lengths: Vec<_> = kinds.iter().map(|kind| kind.lasts.clone()).collect();
        let mean = |length: &RangeInclusive<u32>| f64::midpoint((*length.start()).into(), (*length.end()).into());
        let shortest = lengths.iter().map(mean).fold(f64::INFINITY, f64::min);
        let acceptance: Vec<f64> = lengths.iter().map(|length| shortest / mean(length)).collect();
        #[expect(clippy::cast_precision_loss, reason = "there are few kinds")]
        let mean_length = shortest * lengths.len() as f64 / acceptance.iter().sum::<f64>();
        let longest = lengths.iter().map(|length| u64::from(*length.end())).max().unwrap_or(1);
        // Gaps between episodes are geometric: with this parameter their mean makes the share of the episodes the rate.
        let begins = if lengths.is_empty() { 0.0 } else { rate / (rate + mean_length * (1.0 - rate)) };
        let stretch = if longest == 1 { 1 } else { longest * EPISODES_PER_STRETCH };
        Self { lengths, acceptance, begins, stretch }
    }

    /// The episode in which the event at `place` lies; `number` gives the number of the event at a place.
    pub(super) fn covering(&self, seed: u64, place: Place, number: impl Fn(Place) -> u64) -> Option<Episode> {
        if self.begins <= 0.0 {
            return None;
        }
        let start = place.step - place.step % self.stretch;
        let end = start + self.stretch;
        let mut random = random::of_event(seed, number(Place { step: start, ..place }));
        let mut at = start;
        loop {
            at = at.saturating_add(self.gap(&mut random));
            if at > place.step {
                return None;
            }
            let kind = self.pick(&mut random);
            let length = self.lengths.get(kind).map_or(1, |length| draw(length, &mut random));
            let next = at + length;
            if next > end {
                return None;
            }
            if place.step < next {
                return Some(Episode { kind, first: Place { step: at, ..place }, length, random });
            }
            at = next;
        }
    }

    /// Events before the next episode.
    fn gap(&self, random: &mut Xoshiro256PlusPlus) -> u64 {
        let draw = random.random::<f64>();
        if draw < self.begins {
            return 0;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, and is not negative")]
        {
            (libm::log1p(-draw) / libm::log1p(-self.begins)) as u64
        }
    }

    /// A kind, by rejection.
    fn pick(&self, random: &mut Xoshiro256PlusPlus) -> usize {
        loop {
            let kind = random.random_range(0..self.acceptance.len().max(1));
            let acceptance = self.acceptance.get(kind).copied().unwrap_or(1.0);
            if acceptance >= 1.0 || random.random::<f64>() < acceptance {
                return kind;
            }
        }
    }
}

fn draw(length: &RangeInclusive<u32>, random: &mut Xoshiro256PlusPlus) -> u64 {
    let (low, high) = (*length.start(), *length.end());
    u64::from(if low < high { random.random_range(low..=high) } else { low })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kind(lasts: RangeInclusive<u32>) -> SimulatedAnomaly {
        SimulatedAnomaly { name: "a".into(), description: String::new(), lasts, grows: false, changes: Vec::new() }
    }

    /// The kind and the first event of the episode at each of the first `count` events of entity `entity` among ten.
    fn lay_out(episodes: &Episodes, seed: u64, entity: u64, count: u64) -> Vec<Option<(usize, u64, u64)>> {
        let number = |place: Place| place.step * 10 + place.entity;
        let at = |step| episodes.covering(seed, Place { entity, step }, number);
        (0..count).map(|step| at(step).map(|found| (found.kind, found.first.step, found.length))).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn episodes_are_whole_and_as_long_as_asked(seed: u64, entity in 0_u64..10, rate in 0.001..0.9, longest in 1_u32..30) {
            let kinds = [kind(1..=1), kind(longest..=longest + 5)];
            let layout = lay_out(&Episodes::new(&kinds, rate), seed, entity, 1500);
            for (step, found) in layout.iter().enumerate() {
                let Some((kind, first, length)) = *found else { continue };
                prop_assert!(kinds[kind].lasts.contains(&u32::try_from(length).unwrap()));
                prop_assert!((first..first + length).contains(&(step as u64)));
                for covered in (first..first + length).filter(|&covered| covered < 1500) {
                    prop_assert_eq!(layout[usize::try_from(covered).unwrap()], *found);
                }
            }
        }
    }

    #[test]
    fn every_kind_covers_its_part_of_the_rate() {
        let kinds = [kind(1..=1), kind(10..=30), kind(60..=60)];
        for rate in [0.01, 0.3] {
            let episodes = Episodes::new(&kinds, rate);
            let mut covered = [0_u32; 3];
            for entity in 0..10 {
                for (kind, ..) in lay_out(&episodes, 5, entity, 20_000).into_iter().flatten() {
                    covered[kind] += 1;
                }
            }
            for (kind, covered) in covered.iter().enumerate() {
                let share = f64::from(*covered) / 200_000.0;
                assert!((0.75..1.2).contains(&(share / (rate / 3.0))), "kind {kind} at {rate}: {share}");
            }
        }
    }

    #[test]
    fn without_kinds_or_rate_there_are_none() {
        for episodes in [Episodes::new(&[], 0.5), Episodes::new(&[kind(3..=9)], 0.0)] {
            assert!(lay_out(&episodes, 1, 0, 2000).iter().all(Option::is_none));
        }
        assert!(lay_out(&Episodes::new(&[kind(1..=1)], 1.0), 1, 0, 2000).iter().all(Option::is_some));
    }
}
