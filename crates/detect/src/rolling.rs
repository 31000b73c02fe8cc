//! The rolling z-score: how far a value lies from the values before it.

mod window;

pub use window::{Window, WindowDecodeError};

/// The largest score. A value that leaves a constant window has it, since no finite number of deviations describes that.
pub const MAX_SCORE: f64 = 1e12;

/// Deviations below this share of the values' size are rounding, not deviation: some 4,500 units in the last place.
const RELATIVE_TOLERANCE: f64 = 1e-12;

/// Settings that make no rule.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RollingError {
    /// The window or the number of values wanted is off.
    #[error("min_values {min_values} must be at least 2 and at most the window {window}")]
    MinValues {
        /// Values wanted before the rule judges.
        min_values: usize,
        /// Values that the rule looks back on.
        window: usize,
    },
    /// The threshold is no positive number.
    #[error("threshold {0} must be a positive finite number")]
    Threshold(f64),
}

/// The rule: a value deviates when it lies at least `threshold` standard deviations from the mean of up to `window` values
/// before it, itself not included.
///
/// `score = |x - mean| / sd` with the population standard deviation, `sd = sqrt(sum((x_i - mean)^2) / n)`, computed anew
/// in two passes for every value, with the correction of Chan, Golub and LeVeque ("Algorithms for computing the sample
/// variance", 1983). Running sums would be cheaper, but lose all digits next to a large offset and never recover from a spike.
///
/// A window counts as constant when `sd` is at most 10⁻¹² of the size of its mean or of the value. Then a value that equals
/// the mean within that tolerance scores 0, and every other one [`MAX_SCORE`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RollingZScore {
    window: usize,
    min_values: usize,
    threshold: f64,
}

/// How a value relates to the values before it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Deviation {
    /// Distance from the mean in standard deviations, in `[0, MAX_SCORE]`.
    pub score: f64,
    /// Mean of the values before it.
    pub mean: f64,
    /// Their population standard deviation.
    pub sd: f64,
}

impl RollingZScore {
    /// A rule that looks back on `window` values, judges from `min_values` on and fires at `threshold` deviations.
    ///
    /// # Errors
    /// When a setting is out of range.
    pub fn new(window: usize, min_values: usize, threshold: f64) -> Result<Self, RollingError> {
        if min_values < 2 || min_values > window {
            return Err(RollingError::MinValues { min_values, window });
        }
        if !(threshold.is_finite() && threshold > 0.0) {
            return Err(RollingError::Threshold(threshold));
        }
        Ok(Self { window, min_values, threshold })
    }

    /// Deviations at which the rule fires.
    #[must_use]
    pub fn threshold(&self) -> f64 {
        self.threshold
    }

    /// Whether `deviation` reaches the threshold, rounding forgiven: three deviations exactly may come out a bit short.
    #[must_use]
    pub fn fires(&self, deviation: &Deviation) -> bool {
        deviation.score >= self.threshold * (1.0 - RELATIVE_TOLERANCE)
    }

    /// Judges `value` by the values before it, then remembers it. Without enough of them there is no answer. A value that is
    /// not finite is missing: it is neither judged nor remembered.
    pub fn observe(&self, window: &mut Window, value: f64) -> Option<Deviation> {
        if !value.is_finite() {
            return None;
        }
        let deviation = (window.len() >= self.min_values).then(|| Deviation::of(value, window.values()));
        window.push(value, self.window);
        deviation
    }

    /// Remembers `value` without judging it: what [`observe`](Self::observe) leaves behind, at less cost.
    pub fn remember(&self, window: &mut Window, value: f64) {
        if value.is_finite() {
            window.push(value, self.window);
        }
    }
}

impl Deviation {
    fn of(value: f64, values: &[f64]) -> Self {
        let largest = values.iter().fold(0.0_f64, |max, value| max.max(value.abs()));
        if largest > 0.0 && !(1e-140..=1e150).contains(&largest) {
            return Self::of_scaled(value, values, largest);
        }
        let moments = Moments::of(values);
        let distance = ((value - moments.mean) - moments.residue).abs();
        let tolerance = RELATIVE_TOLERANCE * moments.mean.abs().max(value.abs());
        let score = if moments.sd > tolerance {
            (distance / moments.sd).min(MAX_SCORE)
        } else if distance <= tolerance {
            0.0
        } else {
            MAX_SCORE
        };
        Self { score, mean: moments.mean, sd: moments.sd }
    }

    /// The same where squares would overflow or vanish.
    fn of_scaled(value: f64, values: &[f64], largest: f64) -> Self {
        let scaled: Vec<f64> = values.iter().map(|value| value / largest).collect();
        let Self { score, mean, sd } = Self::of(value / largest, &scaled);
        Self { score, mean: mean * largest, sd: sd * largest }
    }
}

struct Moments {
    /// The mean, rounded.
    mean: f64,
    /// What the rounding took from the mean. Next to a large offset it is no small part of a deviation.
    residue: f64,
    /// The population standard deviation.
    sd: f64,
}

impl Moments {
    #[expect(clippy::cast_precision_loss, reason = "a window holds at most 65,536 values")]
    fn of(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let mean = sum(values, |x| x) / n;
        let residue = sum(values, |x| x - mean) / n;
        let variance = sum(values, |x| (x - mean) * (x - mean)) / n - residue * residue;
        Self { mean, residue, sd: variance.max(0.0).sqrt() }
    }
}

/// Sum over eight lanes, which the compiler can keep in vector registers; the order of additions is fixed by the layout.
fn sum(values: &[f64], f: impl Fn(f64) -> f64) -> f64 {
    let mut lanes = [0.0_f64; 8];
    let mut chunks = values.chunks_exact(lanes.len());
    for chunk in &mut chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane += f(value);
        }
    }
    let rest: f64 = chunks.remainder().iter().map(|&value| f(value)).sum();
    lanes.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests;
