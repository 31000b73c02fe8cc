//! The settings as they were given, and a reader that collects every fault.
//!
//! The raw form is a flat table of keys rather than a serde struct, because serde stops at the first fault.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use config::{Map, Value, ValueKind};

use super::{SettingsFault, env_name};

/// Every setting that was given, by dotted key.
#[derive(Debug, Default)]
pub(super) struct RawSettings(BTreeMap<String, RawValue>);

/// A value and where it was given.
#[derive(Debug)]
struct RawValue {
    text: String,
    origin: String,
}

impl RawSettings {
    /// Flattens `tree`, into which `file` was read.
    pub(super) fn from_tree(tree: Map<String, Value>, file: Option<&Path>) -> Self {
        let mut raw = Self::default();
        raw.add("", tree, file);
        raw
    }

    fn add(&mut self, prefix: &str, table: Map<String, Value>, file: Option<&Path>) {
        for (name, value) in table {
            let key = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
            let origin = match value.origin() {
                None => "the command line".to_owned(),
                Some("the environment") => env_name(&key),
                // `config` names files relative to the working directory; people know them as they gave them.
                Some(other) => file.map_or_else(|| other.to_owned(), |file| file.display().to_string()),
            };
            match value.kind {
                ValueKind::Table(inner) => self.add(&key, inner, file),
                _ => drop(self.0.insert(key, RawValue { text: value.to_string(), origin })),
            }
        }
    }
}

/// Takes settings one by one, and at the end names all that were wrong or that nobody took.
pub(super) struct Reader {
    raw: RawSettings,
    known: Vec<&'static str>,
    faults: Vec<SettingsFault>,
}

impl Reader {
    pub(super) fn new(raw: RawSettings) -> Self {
        Self { raw, known: Vec::new(), faults: Vec::new() }
    }

    /// A value that parses, or a stand-in of the same type after a fault.
    pub(super) fn parse<T: FromStr + StandIn>(&mut self, key: &'static str, wanted: &str) -> T {
        self.take(key, wanted, |text| text.trim().parse().ok()).unwrap_or_else(T::stand_in)
    }

    pub(super) fn in_range(&mut self, key: &'static str, range: RangeInclusive<u64>) -> u64 {
        let wanted = format!("a whole number from {} to {}", range.start(), range.end());
        self.take(key, &wanted, |text| text.trim().parse().ok().filter(|value| range.contains(value))).unwrap_or(1)
    }

    pub(super) fn one_of<T: Clone>(&mut self, key: &'static str, choices: &[(&str, T)]) -> T {
        let wanted = choices.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        let find = |text: &str| choices.iter().find(|(name, _)| name.eq_ignore_ascii_case(text.trim()));
        match self.take(key, format!("one of {wanted}"), find) {
            Some((_, choice)) => choice.clone(),
            None => choices[0].1.clone(),
        }
    }

    pub(super) fn text(&mut self, key: &'static str, wanted: &str) -> String {
        self.take(key, wanted, |text| Some(text.to_owned()).filter(|text| !text.trim().is_empty())).unwrap_or_default()
    }

    pub(super) fn path(&mut self, key: &'static str) -> PathBuf {
        self.text(key, "the path of a folder").into()
    }

    fn take<T>(&mut self, key: &'static str, wanted: impl Display, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        self.known.push(key);
        // A key of the defaults is missing only where a value stands in the place of its section: a fault of its own.
        let RawValue { text, origin } = self.raw.0.remove(key)?;
        let parsed = parse(&text);
        if parsed.is_none() {
            let mend = format!("must be {wanted}");
            self.faults.push(SettingsFault { key: key.to_owned(), value: text, origin, mend });
        }
        parsed
    }

    /// All faults, those of keys that do not exist included.
    pub(super) fn finish(mut self) -> Vec<SettingsFault> {
        for (key, RawValue { text, origin }) in self.raw.0 {
            let section = format!("{key}.");
            let inside: Vec<&str> = self.known.iter().copied().filter(|known| known.starts_with(&section)).collect();
            let mend = match (nearest(&key, &self.known), inside.is_empty()) {
                (_, false) => format!("is a section: set {}", inside.join(" or ")),
                (Some(near), _) => format!("does not exist: did you mean {near}?"),
                (None, _) => format!("does not exist: remove it, or use one of {}", self.known.join(", ")),
            };
            self.faults.push(SettingsFault { key, value: text, origin, mend });
        }
        self.faults
    }
}

/// What stands for a value after a fault, so that reading goes on. It never reaches checked settings.
pub(super) trait StandIn {
    fn stand_in() -> Self;
}

impl StandIn for u16 {
    fn stand_in() -> Self {
        0
    }
}

impl StandIn for std::net::IpAddr {
    fn stand_in() -> Self {
        Self::V4(std::net::Ipv4Addr::LOCALHOST)
    }
}

/// The known key that a slip of the keyboard would turn into `key`.
fn nearest<'a>(key: &str, known: &[&'a str]) -> Option<&'a str> {
    /// More letters than this are another word.
    const SLIPS: usize = 2;
    known
        .iter()
        .map(|candidate| (distance(key, candidate), *candidate))
        .filter(|(d, _)| *d <= SLIPS)
        .min()
        .map(|(_, c)| c)
}

/// Levenshtein distance in bytes.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.bytes().enumerate() {
            let substituted = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
