//! What is wrong with a configuration, collected so that all of it is said at once.

use std::fmt;
use std::ops::RangeInclusive;

/// A fault of a configuration: where, what, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFault {
    /// Path of the key, such as `features[2].minimum`.
    pub path: String,
    /// What is wrong and how to mend it.
    pub message: String,
}

impl fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

#[derive(Default)]
pub(super) struct Faults(Vec<ConfigFault>);

impl Faults {
    pub(super) fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push(ConfigFault { path: path.into(), message: message.into() });
    }

    pub(super) fn into_vec(self) -> Vec<ConfigFault> {
        self.0
    }

    /// `value`, or `default` and a fault where it is outside of `range`.
    pub(super) fn in_range<N: PartialOrd + fmt::Display + Copy>(
        &mut self,
        path: &str,
        value: Option<N>,
        default: N,
        range: RangeInclusive<N>,
    ) -> N {
        let value = value.unwrap_or(default);
        if range.contains(&value) {
            return value;
        }
        self.add(path, format!("{value} must be between {} and {}", range.start(), range.end()));
        default
    }
}
