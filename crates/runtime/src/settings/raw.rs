//! The settings as they were given, and a reader that collects every fault.
//!
//! The raw form is a flat table of keys rather than a serde struct, because serde stops at the first fault.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use config::{Map, Value, ValueKind};
use pulse_core::nearest;

use super::fault::SettingsFault;
use super::secret::Secret;
use super::{env_name, secret_file, stray};

/// Every setting that was given, by dotted key.
#[derive(Default)]
pub(super) struct RawSettings {
    values: BTreeMap<String, RawValue>,
    /// Variables of the environment that look like ours and set nothing.
    strays: Vec<String>,
}

/// A value and where it was given.
struct RawValue {
    text: String,
    origin: String,
}

impl RawSettings {
    /// Flattens `tree`, into which `file` was read.
    pub(super) fn from_tree(tree: Map<String, Value>, file: Option<&Path>, strays: Vec<String>) -> Self {
        let mut raw = Self { strays, ..Self::default() };
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
                _ => drop(self.values.insert(key, RawValue { text: value.to_string(), origin })),
            }
        }
    }
}

/// Takes settings one by one, and at the end names all that were wrong or that nobody took.
///
/// What stands for a value after a fault lets reading go on; it never reaches checked settings.
pub(super) struct Reader {
    raw: RawSettings,
    known: Vec<&'static str>,
    faults: Vec<SettingsFault>,
}

impl Reader {
    pub(super) fn new(raw: RawSettings) -> Self {
        Self { raw, known: Vec::new(), faults: Vec::new() }
    }

    pub(super) fn parse<T: FromStr>(&mut self, key: &'static str, wanted: &str, stand_in: T) -> T {
        self.take(key, wanted, |text| text.parse().ok()).unwrap_or(stand_in)
    }

    pub(super) fn in_range(&mut self, key: &'static str, range: RangeInclusive<u64>) -> u64 {
        let wanted = format!("a whole number from {} to {}", range.start(), range.end());
        self.take(key, wanted, |text| text.parse().ok().filter(|value| range.contains(value))).unwrap_or(*range.start())
    }

    pub(super) fn one_of<T: Clone>(&mut self, key: &'static str, choices: &[(&str, T)]) -> T {
        let wanted = choices.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        let find = |text: &str| choices.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
        match self.take(key, format!("one of {wanted}"), find) {
            Some((_, choice)) => choice.clone(),
            None => choices[0].1.clone(),
        }
    }

    /// As [`one_of`](Self::one_of), for choices that are what they are called.
    pub(super) fn word(&mut self, key: &'static str, choices: &[&'static str]) -> &'static str {
        let choices: Vec<_> = choices.iter().map(|choice| (*choice, *choice)).collect();
        self.one_of(key, &choices)
    }

    pub(super) fn flag(&mut self, key: &'static str) -> bool {
        self.one_of(key, &[("true", true), ("false", false)])
    }

    pub(super) fn text(&mut self, key: &'static str, wanted: &str) -> String {
        self.take(key, wanted, |text| Some(text.to_owned()).filter(|text| !text.is_empty())).unwrap_or_default()
    }

    pub(super) fn path(&mut self, key: &'static str) -> PathBuf {
        self.text(key, "the path of a folder").into()
    }

    /// A value that may be left out.
    pub(super) fn optional<T>(
        &mut self,
        key: &'static str,
        wanted: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let parse = |text: &str| if text.is_empty() { Some(None) } else { parse(text).map(Some) };
        self.take(key, format_args!("{wanted}, or empty"), parse).flatten()
    }

    pub(super) fn optional_text(&mut self, key: &'static str) -> Option<String> {
        self.optional(key, "a text", |text| Some(text.to_owned()))
    }

    pub(super) fn optional_path(&mut self, key: &'static str) -> Option<PathBuf> {
        self.optional_text(key).map(PathBuf::from)
    }

    /// A secret, given as `key` or, at `file_key`, by the path of a file that holds it.
    pub(super) fn secret(&mut self, key: &'static str, file_key: &'static str) -> Option<Secret> {
        self.known.extend([key, file_key]);
        let mut given = |key| self.raw.values.remove(key).filter(|raw: &RawValue| !raw.text.is_empty());
        match (given(key), given(file_key)) {
            (None, None) => None,
            (Some(raw), None) => Some(Secret::new(raw.text)),
            (None, Some(raw)) => match secret_file::read(Path::new(&raw.text)) {
                Ok(secret) => Some(secret),
                Err(problem) => {
                    self.fault(file_key, Some(raw.text), raw.origin, problem.to_string());
                    None
                }
            },
            (Some(raw), Some(file)) => {
                let mend = format!("is given twice, here and by {file_key} ({}): remove one of them", file.origin);
                self.fault(key, None, raw.origin, mend);
                None
            }
        }
    }

    /// Everything in the section `name`, whose keys are not ours. Its values may be secrets.
    pub(super) fn table(&mut self, name: &str) -> BTreeMap<String, Secret> {
        let prefix = format!("{name}.");
        let keys: Vec<String> = self.raw.values.keys().filter(|key| key.starts_with(&prefix)).cloned().collect();
        let take =
            |key: String| Some((key[prefix.len()..].to_owned(), Secret::new(self.raw.values.remove(&key)?.text)));
        keys.into_iter().filter_map(take).collect()
    }

    pub(super) fn take<T>(
        &mut self,
        key: &'static str,
        wanted: impl Display,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        self.known.push(key);
        // A key of the defaults is missing only where a value stands in the place of its section: a fault of its own.
        let RawValue { text, origin } = self.raw.values.remove(key)?;
        let parsed = parse(text.trim());
        if parsed.is_none() {
            self.fault(key, Some(text), origin, format!("must be {wanted}"));
        }
        parsed
    }

    /// Somebody may have pasted a URL, or a list of settings, with a password in it: such a value is not told.
    fn fault(&mut self, key: &str, value: Option<String>, origin: String, mend: String) {
        let value = value.filter(|value| !value.contains(['@', '=']));
        self.faults.push(SettingsFault { key: key.to_owned(), value, origin, mend });
    }

    /// All faults, those of keys that do not exist included. The values of these are not told: one may be a secret whose
    /// key was misspelt.
    pub(super) fn finish(mut self) -> Vec<SettingsFault> {
        for (key, RawValue { origin, .. }) in std::mem::take(&mut self.raw.values) {
            let section = format!("{key}.");
            let inside: Vec<&str> = self.known.iter().copied().filter(|known| known.starts_with(&section)).collect();
            let mend = match (nearest(&key, self.known.iter().copied()), inside.is_empty()) {
                (_, false) => format!("is a section: set {}", inside.join(" or ")),
                (Some(near), _) => format!("does not exist: did you mean {near}?"),
                (None, _) => format!("does not exist: remove it, or use one of {}", self.siblings(&key).join(", ")),
            };
            self.fault(&key, None, origin, mend);
        }
        for name in std::mem::take(&mut self.raw.strays) {
            if let Some(mend) = stray::mend(&name, &self.known) {
                self.fault(&name, None, "the environment".to_owned(), mend);
            }
        }
        self.faults
    }

    /// The known keys of the section of `key`; all where it has none.
    fn siblings(&self, key: &str) -> Vec<&'static str> {
        let section = |key: &str| key.split_once('.').map(|(section, _)| section.to_owned());
        let same = |known: &&str| section(known).is_some() && section(known) == section(key);
        let siblings: Vec<_> = self.known.iter().copied().filter(same).collect();
        if siblings.is_empty() { self.known.clone() } else { siblings }
    }
}
