//! What can be wrong with settings.

use std::fmt;
use std::path::PathBuf;

use config::ConfigError;

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("settings cannot be read")]
    Unreadable(#[source] ConfigError),
    /// The file is no TOML. Its text is not shown: it may hold a secret.
    #[error("settings cannot be read: {} is no TOML: {reason}", .file.display())]
    Syntax {
        /// The file.
        file: PathBuf,
        /// Where, and what was expected there.
        reason: String,
    },
    /// Keys or values are wrong; all that are.
    #[error("{} wrong: {}", if .0.len() == 1 { "a setting is" } else { "settings are" }, join(.0))]
    Faults(Vec<SettingsFault>),
}

impl SettingsError {
    pub(super) fn unreadable(error: ConfigError, file: Option<PathBuf>) -> Self {
        let (ConfigError::FileParse { cause, .. }, Some(file)) = (&error, file) else {
            return Self::Unreadable(error);
        };
        // The whole text of this error quotes the line; its first line says only where that is.
        let position = cause.to_string().lines().next().unwrap_or_default().to_owned();
        let reason = match cause.downcast_ref::<toml::de::Error>() {
            Some(error) => format!("{position}: {}", error.message()),
            None => position,
        };
        Self::Syntax { file, reason }
    }
}

fn join(faults: &[SettingsFault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// One wrong setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsFault {
    /// The key, as in `dashboard.port`.
    pub key: String,
    /// The value that was given; none where it is, or may be meant as, a secret.
    pub value: Option<String>,
    /// Where it was given: a file, or a variable of the environment, or the command line.
    pub origin: String,
    /// What to do about it.
    pub mend: String,
}

impl fmt::Display for SettingsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{} = {value:?} ({}) {}", self.key, self.origin, self.mend),
            None => write!(f, "{} ({}) {}", self.key, self.origin, self.mend),
        }
    }
}
