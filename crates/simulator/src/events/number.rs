//! Draws numbers.

use pulse_core::use_case::{Distribution, NumberProfile};
use rand::Rng;
use rand_distr::{Distribution as _, Poisson, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::drawn::Rhythm;

/// A number's profile, prepared to draw from.
#[derive(Debug)]
pub(super) struct Number {
    profile: NumberProfile,
    /// The lognormal distribution of the entities' own means, about 1.
    of_entities: Lognormal,
    /// The lognormal distribution of events, about 1.
    of_events: Lognormal,
}

/// A lognormal distribution with the mean 1.
#[derive(Debug)]
struct Lognormal {
    /// Standard deviation of the logarithm.
    sigma: f64,
}

impl Lognormal {
    /// That with the given ratio of deviation to mean.
    fn of_ratio(ratio: f64) -> Self {
        Self { sigma: libm::sqrt(libm::log1p(ratio * ratio)) }
    }

    /// The value that a standard normal value becomes.
    fn at(&self, normal: f64) -> f64 {
        libm::exp(self.sigma * normal - self.sigma * self.sigma / 2.0)
    }
}

impl Number {
    pub(super) fn new(profile: &NumberProfile) -> Self {
        let ratio = |deviation: f64| if profile.mean > 0.0 { deviation / profile.mean } else { 0.0 };
        Self {
            of_entities: Lognormal::of_ratio(ratio(profile.spread)),
            of_events: Lognormal::of_ratio(ratio(profile.deviation)),
            profile: profile.clone(),
        }
    }

    pub(super) fn has_rhythm(&self) -> bool {
        self.profile.daily != 0.0 || self.profile.weekly != 0.0
    }

    /// A value of an entity, which lies `own` deviations above the others, at a time of `rhythm`; `earlier` are the values that it may depend on.
    pub(super) fn draw(&self, own: f64, rhythm: Rhythm, earlier: &[f64], random: &mut Xoshiro256PlusPlus) -> f64 {
        let NumberProfile { distribution, mean, deviation, spread, daily, weekly, depends_on, limits } = &self.profile;
        let swing = daily * rhythm.day + weekly * rhythm.week;
        // Positive means stay positive: they are multiplied, not added to.
        let positive = || mean * self.of_entities.at(own) * (1.0 + swing / mean);
        let value = match distribution {
            Distribution::Normal => mean + spread * own + swing + deviation * random.sample::<f64, _>(StandardNormal),
            Distribution::Lognormal => positive() * self.of_events.at(random.sample(StandardNormal)),
            Distribution::Poisson => {
                let mean = positive();
                Poisson::new(mean).map_or(mean, |poisson| poisson.sample(random))
            }
        };
        let added: f64 = depends_on.iter().filter_map(|(place, factor)| Some(earlier.get(*place)? * factor)).sum();
        limits.fit(value + added)
    }
}

#[cfg(test)]
mod tests {
    use pulse_core::use_case::{Feature, NumberLimits};
    use rand::SeedableRng;

    use super::*;

    /// Mean and deviation of 20,000 values.
    fn moments(distribution: Distribution, own: f64, rhythm: Rhythm) -> (f64, f64) {
        let number = Number::new(&NumberProfile {
            distribution,
            mean: 40.0,
            deviation: 6.0,
            spread: 10.0,
            daily: 8.0,
            weekly: 4.0,
            depends_on: vec![(0, 2.0)],
            limits: NumberLimits::new(&Feature::default(), 6),
        });
        let mut random = Xoshiro256PlusPlus::seed_from_u64(3);
        let values: Vec<f64> = (0..20_000).map(|_| number.draw(own, rhythm, &[50.0], &mut random) - 100.0).collect();
        let mean = values.iter().sum::<f64>() / 20_000.0;
        (mean, (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 20_000.0).sqrt())
    }

    #[track_caller]
    fn is_near((mean, deviation): (f64, f64), expected: (f64, f64)) {
        assert!((mean - expected.0).abs() < 0.3, "mean {mean}, not {}", expected.0);
        assert!((deviation - expected.1).abs() < 0.3, "deviation {deviation}, not {}", expected.1);
    }

    #[test]
    fn moments_are_those_of_the_profile() {
        let peak = Rhythm { day: 1.0, week: 0.5 };
        is_near(moments(Distribution::Normal, 0.0, Rhythm::default()), (40.0, 6.0));
        is_near(moments(Distribution::Normal, 1.0, peak), (60.0, 6.0));
        // An entity at the middle of a skewed distribution lies below its mean: 40 / sqrt(1 + (10 / 40)²).
        is_near(moments(Distribution::Lognormal, 0.0, Rhythm::default()), (38.8, 5.8));
        is_near(moments(Distribution::Lognormal, 0.0, peak), (38.8 * 1.25, 5.8 * 1.25));
        is_near(moments(Distribution::Poisson, 0.0, Rhythm::default()), (38.8, 38.8_f64.sqrt()));
    }
}
