//! How a number is drawn.

use crate::use_case::checked::simulator::limits::NumberLimits;
use crate::use_case::checked::{Faults, Feature, FeatureType};
use crate::use_case::raw::RawFeatureProfile;

/// Shape of a number's distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distribution {
    /// Symmetric about its mean.
    Normal,
    /// Positive, with a long tail: durations, sizes, amounts.
    Lognormal,
    /// Counts of independent events; its deviation is the root of its mean.
    Poisson,
}

/// How a number is drawn. With a distribution of positive numbers an entity's deviation and rhythm grow with its own mean.
#[derive(Debug, Clone, PartialEq)]
pub struct NumberProfile {
    /// The shape.
    pub distribution: Distribution,
    /// Mean over all entities.
    pub mean: f64,
    /// Standard deviation from event to event.
    pub deviation: f64,
    /// Standard deviation of the entities' own means.
    pub spread: f64,
    /// Amplitude of the daily rhythm.
    pub daily: f64,
    /// Amplitude of the weekly rhythm.
    pub weekly: f64,
    /// Places, among the profile's features, of those whose values are added, and the factors.
    pub depends_on: Vec<(usize, f64)>,
    /// What it may be.
    pub limits: NumberLimits,
}

impl NumberProfile {
    /// Its deviation from event to event, or what stands for it where it has none.
    pub(in crate::use_case::checked::simulator) fn typical_deviation(&self) -> f64 {
        match self.distribution {
            Distribution::Poisson => self.mean.sqrt(),
            _ if self.deviation > 0.0 => self.deviation,
            _ => (self.mean.abs() / 20.0).max(1.0),
        }
    }
}

/// Checks how `feature` is drawn; what it depends on is for the caller.
pub(super) fn check(raw: RawFeatureProfile, feature: &Feature, path: &str, faults: &mut Faults) -> NumberProfile {
    let distribution = distribution(raw.distribution.as_deref(), path, faults);
    let is_integer = feature.kind == FeatureType::Integer || distribution == Distribution::Poisson;
    let mut finite = |key: &str, value: Option<f64>, low: f64| {
        let value = value?;
        let is_fine = value.is_finite() && value >= low;
        if !is_fine {
            let range = if low == 0.0 { "0 or more" } else { "a finite number" };
            faults.add(format!("{path}.{key}"), format!("{value} must be {range}"));
        }
        is_fine.then_some(value)
    };
    let (mean, any) = (finite("mean", raw.mean, f64::MIN), f64::MIN);
    let (deviation, spread) = (finite("deviation", raw.deviation, 0.0), finite("spread", raw.spread, 0.0));
    let (daily, weekly) = (finite("daily", raw.daily, any), finite("weekly", raw.weekly, any));
    let (minimum, maximum) = (finite("minimum", raw.minimum, any), finite("maximum", raw.maximum, any));
    let factors_are_finite = raw.depends_on.values().all(|factor| factor.is_finite());
    if !factors_are_finite {
        faults.add(format!("{path}.depends_on"), "its factors must be finite numbers");
    }
    let within = |decimals| NumberLimits::new(feature, decimals).within(minimum, maximum);
    let typical = typical(within(9), mean, !raw.depends_on.is_empty());
    let mean = typical.mean;
    let deviation = deviation.unwrap_or(typical.deviation);
    let is_default = raw.decimals.is_none();
    let stated = faults.in_range(&format!("{path}.decimals"), raw.decimals, 0, 0..=9);
    let decimals = match is_integer {
        true => 0,
        false if is_default => decimals_to_show(deviation),
        false => stated,
    };
    let limits = within(decimals).unwrap_or_else(|| {
        faults.add(path, "no value lies within its limits and those of the feature: widen them");
        NumberLimits::new(feature, decimals)
    });
    if raw.depends_on.is_empty() && !limits.contain(mean) {
        faults.add(format!("{path}.mean"), format!("{mean} lies outside of its limits: move one of them"));
    }
    let profile = NumberProfile {
        distribution,
        mean,
        deviation,
        spread: spread.unwrap_or(typical.spread),
        daily: daily.unwrap_or(0.0),
        weekly: weekly.unwrap_or(0.0),
        depends_on: Vec::new(),
        limits,
    };
    if distribution != Distribution::Normal {
        check_positive(&profile, raw.deviation, path, faults);
    }
    profile
}

fn distribution(name: Option<&str>, path: &str, faults: &mut Faults) -> Distribution {
    match name.unwrap_or("normal") {
        "normal" => Distribution::Normal,
        "lognormal" => Distribution::Lognormal,
        "poisson" => Distribution::Poisson,
        other => {
            faults.add(format!("{path}.distribution"), format!("{other:?} must be normal, lognormal or poisson"));
            Distribution::Normal
        }
    }
}

fn check_positive(profile: &NumberProfile, deviation: Option<f64>, path: &str, faults: &mut Faults) {
    /// Beyond it, counts are no longer exact.
    const LARGEST: f64 = 1e12;
    if profile.mean <= profile.daily.abs() + profile.weekly.abs() {
        let message = format!("{} must be above 0, and above `daily` and `weekly` together", profile.mean);
        faults.add(format!("{path}.mean"), message);
    }
    if profile.distribution == Distribution::Poisson {
        if deviation.is_some() {
            faults.add(format!("{path}.deviation"), "is the root of the mean for poisson: remove it");
        }
        if profile.mean > LARGEST {
            faults.add(format!("{path}.mean"), format!("{} must be at most {LARGEST} for poisson", profile.mean));
        }
    }
}

/// What stands for what the configuration leaves out.
struct Typical {
    mean: f64,
    deviation: f64,
    spread: f64,
}

/// Something that the limits allow, with room on both sides.
fn typical(limits: Option<NumberLimits>, mean: Option<f64>, depends: bool) -> Typical {
    const MEAN: f64 = 100.0;
    let of_mean = |mean: f64, size: f64| Typical { mean, deviation: size / 20.0, spread: size / 10.0 };
    match (mean, limits.map_or((None, None), |limits| limits.ends())) {
        (Some(mean), _) => of_mean(mean, mean.abs()),
        (None, _) if depends => of_mean(0.0, 0.0),
        (None, (Some(low), Some(high))) => of_mean(f64::midpoint(low, high), (high - low) * 0.4),
        (None, (Some(low), None)) => of_mean(low + MEAN, MEAN),
        (None, (None, Some(high))) => of_mean(high - MEAN, MEAN),
        (None, (None, None)) => of_mean(MEAN, MEAN),
    }
}

/// Decimal places that show a deviation with three digits, more or less.
fn decimals_to_show(deviation: f64) -> u8 {
    if deviation == 0.0 {
        return 2;
    }
    let (mut decimals, mut unit) = (2, 1.0);
    while decimals < 9 && deviation < unit {
        (decimals, unit) = (decimals + 1, unit / 10.0);
    }
    while decimals > 0 && deviation >= unit * 10.0 {
        (decimals, unit) = (decimals - 1, unit * 10.0);
    }
    decimals
}
