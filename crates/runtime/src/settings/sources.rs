//! Where settings come from.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;

use config::{Config, ConfigError, Environment, File, FileFormat, Map, Source as _, Value};

use super::raw::RawSettings;
use super::{Settings, SettingsError, Uses, stray};

const BASE: &str = include_str!("../../config/base.toml");

/// The sources of the settings. Later ones win: defaults, file, `USE_CASE`, `PULSE__SECTION__KEY`, command line.
#[derive(Clone, Default)]
pub struct SettingsSources {
    file: Option<PathBuf>,
    environment: HashMap<String, String>,
    overrides: Vec<(&'static str, String)>,
    uses: &'static [Uses],
}

impl fmt::Debug for SettingsSources {
    /// Without the values: some are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SettingsSources").field("file", &self.file).finish_non_exhaustive()
    }
}

impl SettingsSources {
    /// Takes the file that `PULSE_CONFIG` names, if it does, and the variables of this process.
    #[must_use]
    pub fn from_env() -> Self {
        // A variable that is no text cannot be one of ours: their values are all text.
        let variables =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self::default().environment(variables)
    }

    /// Takes `variables` in place of those of this process.
    #[must_use]
    pub fn environment(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        self.environment = variables.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        if let Some(file) = self.environment.get("PULSE_CONFIG") {
            self.file = Some(file.into());
        }
        self
    }

    /// Takes this file, whatever `PULSE_CONFIG` says; none changes nothing, and neither does an empty path, as from a
    /// variable that is set to nothing.
    #[must_use]
    pub fn file(mut self, file: Option<PathBuf>) -> Self {
        self.file = file.filter(|file| !file.as_os_str().is_empty()).or(self.file);
        self
    }

    /// Takes a value from the command line, which wins over all else; none changes nothing.
    #[must_use]
    pub fn set(mut self, key: &'static str, value: Option<impl ToString>) -> Self {
        self.overrides.extend(value.map(|value| (key, value.to_string())));
        self
    }

    /// Says what is used, which production demands to be fit for it; nothing, if this is not called.
    #[must_use]
    pub fn uses(mut self, uses: &'static [Uses]) -> Self {
        self.uses = uses;
        self
    }

    /// Reads and checks them.
    ///
    /// # Errors
    /// When the file cannot be read, or with every wrong key and value.
    pub fn load(self) -> Result<Settings, SettingsError> {
        let (file, strays, uses) = (self.file.clone(), stray::of(&self.environment), self.uses);
        match self.read() {
            Ok(tree) => Settings::checked(RawSettings::from_tree(tree, file.as_deref(), strays), uses),
            Err(error) => Err(SettingsError::unreadable(error, file)),
        }
    }

    fn read(self) -> Result<Map<String, Value>, ConfigError> {
        let mut builder = Config::builder().add_source(File::from_str(BASE, FileFormat::Toml));
        if let Some(file) = &self.file {
            builder = builder.add_source(File::from(file.as_path()).format(FileFormat::Toml));
        }
        let (ours, use_case) = (Environment::with_prefix("PULSE").separator("__"), Environment::default());
        let only_use_case = self.environment.get_key_value("USE_CASE").map(|(k, v)| (k.clone(), v.clone()));
        builder = builder
            .add_source(use_case.source(Some(only_use_case.into_iter().collect())))
            .add_source(ours.source(Some(self.environment.into_iter().collect())));
        for (key, value) in self.overrides {
            builder = builder.set_override(key, value)?;
        }
        builder.build()?.collect()
    }
}
