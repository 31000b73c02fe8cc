//! Randomness that depends on the seed and on what it is for alone.

use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

/// The generator of what is unusual about event `i`, independent of those of all other events and seeds.
pub(super) fn of_event(seed: u64, i: u64) -> Xoshiro256PlusPlus {
    // Hashing both keeps neighbours apart: seed 7 at event 8 must not be seed 8 at event 7.
    Xoshiro256PlusPlus::seed_from_u64(mix(mix(seed).wrapping_add(i)))
}

/// The generator of the ordinary values of event `i`.
pub(super) fn of_values(seed: u64, i: u64) -> Xoshiro256PlusPlus {
    of_event(mix(seed ^ 0x7661_6c75), i)
}

/// The generator of what is an entity's own.
pub(super) fn of_entity(seed: u64, entity: u64) -> Xoshiro256PlusPlus {
    of_event(mix(seed ^ 0x656e_7469), entity)
}

/// The finaliser of `SplitMix64` (Steele, Lea and Flood 2014), a bijection in which every bit of the input moves every
/// bit of the output.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;

    #[test]
    #[expect(clippy::cast_precision_loss)]
    fn first_draws_are_uniform_and_differ_by_seed_and_purpose() {
        let draws = |seed: u64| (0..20_000).map(move |i| of_event(seed, i).random::<f64>());
        let share = draws(1).filter(|draw| *draw < 0.01).count() as f64 / 20_000.0;
        assert!((0.007..0.013).contains(&share), "{share}");
        let same = draws(7).zip(draws(8)).filter(|(a, b)| a == b).count();
        assert_eq!(same, 0);
        assert_ne!(of_event(7, 8).random::<u64>(), of_event(8, 7).random::<u64>());
        assert_ne!(of_event(7, 8).random::<u64>(), of_values(7, 8).random::<u64>());
        assert_ne!(of_entity(7, 8).random::<u64>(), of_values(7, 8).random::<u64>());
    }
}
