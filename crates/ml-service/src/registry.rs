//! The versions of a use case's model, in the folder `models` of its folder.
//!
//! ```text
//! usecases/nyc_taxi/models/
//!   861157cd0888dc35/
//!     model.json        what can be told about it
//!     forest.bin        the forest
//!   active.json         which one is in force, and which ones were before
//!   lock                held while somebody trains
//!   active.lock         held while that is changed
//! ```
//!
//! # Invariants
//! - A version is written beside its place and then moved there, so that whoever reads sees all of it or nothing.
//! - A version never changes. What is trained again of the same rows with the same settings is the same version.
//! - Nothing is in force that was not read and checked.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use pulse_features::{Featurizer, UseCaseDir, UseCaseError};
use pulse_scoring::{Model, StoredModel, StoredModelError};
use rand::Rng as _;
use serde::{Deserialize, Serialize};

use crate::training::Quality;

/// The folder in a use case's.
const FOLDER: &str = "models";
const METADATA: &str = "model.json";
const FOREST: &str = "forest.bin";
const ACTIVE: &str = "active.json";
const LOCK: &str = "lock";
const ACTIVE_LOCK: &str = "active.lock";
/// Rises when what is stored means something else.
const FORMAT: u32 = 1;
/// Versions that one can go back to.
const HISTORY: usize = 32;

/// Why a version cannot be stored, read or put in force.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// A file or folder cannot be read or written.
    #[error("cannot {what} {}", path.display())]
    Io {
        /// What was to be done.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why it cannot.
        source: io::Error,
    },
    /// There is no such version.
    #[error("there is no model version {version:?}; there are: {}", if known.is_empty() { "none" } else { known })]
    Unknown {
        /// What was asked for.
        version: String,
        /// What there is.
        known: String,
    },
    /// A file does not say what it should.
    #[error("{} is damaged ({reason}): train anew, or put another version in force", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The model is not one of this use case, as it is now.
    #[error("model version {version} does not fit the use case: {reason}")]
    Misfit {
        /// The version.
        version: String,
        /// Why it does not.
        reason: String,
    },
    /// There was no version before.
    #[error("there is no version to go back to")]
    NoVersionBefore,
    /// Somebody else trains.
    #[error("somebody else trains a model of this use case now: {} is locked", path.display())]
    Locked {
        /// The lock.
        path: PathBuf,
    },
}

/// A stored version: what can be told about it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Metadata {
    format: u32,
    /// The use case that it was trained for.
    pub use_case: String,
    /// How it came about.
    #[serde(flatten)]
    pub provenance: Provenance,
    /// Fingerprint of the use case's features, as they were.
    pub schema_hash: String,
    /// The model.
    #[serde(flatten)]
    pub model: StoredModel,
}

/// How a version came about.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Provenance {
    /// When it was trained: RFC 3339.
    pub trained_at: String,
    /// What it was trained on.
    pub source: String,
    /// Rows that were no valid events.
    pub rows_left_out: u64,
    /// How well it does on labelled rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<Quality>,
}

/// A version in a list.
#[derive(Debug, Clone, Serialize)]
pub struct Version {
    /// Whether it is in force.
    pub active: bool,
    /// What can be told about it.
    #[serde(flatten)]
    pub metadata: Metadata,
}

/// Which version is in force.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Active {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    /// Those before it, the last one last.
    #[serde(default)]
    before: Vec<String>,
}

/// The versions of one use case. Processes may share the folder.
#[derive(Debug, Clone)]
pub struct Registry {
    folder: PathBuf,
    use_case: String,
    schema_hash: String,
    columns: Vec<String>,
}

/// The right to train; given back when dropped.
#[derive(Debug)]
pub struct TrainingLock(#[expect(dead_code, reason = "a lock is given back when its file is closed")] File);

impl Registry {
    /// The versions of the use case in `dir`.
    ///
    /// # Errors
    /// When the use case cannot be used.
    pub fn new(dir: &UseCaseDir) -> Result<Self, UseCaseError> {
        let columns = Featurizer::new(dir)?.columns().iter().map(|column| column.name.clone()).collect();
        let (use_case, schema_hash) = (dir.use_case.name.clone(), dir.schema_hash());
        Ok(Self { folder: dir.path.join(FOLDER), use_case, schema_hash, columns })
    }

    /// Takes the right to train, which one process has at a time.
    ///
    /// # Errors
    /// When somebody else has it, or the folder cannot be written.
    pub fn lock(&self) -> Result<TrainingLock, RegistryError> {
        let (file, path) = self.lock_file(LOCK)?;
        match file.try_lock() {
            Ok(()) => Ok(TrainingLock(file)),
            Err(fs::TryLockError::WouldBlock) => Err(RegistryError::Locked { path }),
            Err(fs::TryLockError::Error(source)) => Err(failed("lock", &path)(source)),
        }
    }

    /// Stores `model`. A version that is there stays as it is, unless it cannot be used.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn save(&self, model: &Model, provenance: Provenance) -> Result<(), RegistryError> {
        let place = self.folder.join(&**model.version());
        if place.is_dir() {
            if self.load(model.version()).is_ok() {
                return Ok(());
            }
            // Damaged, or of another schema or format: nobody can use it.
            fs::remove_dir_all(&place).map_err(failed("replace", &place))?;
        }
        let (stored, forest) = model.store();
        let metadata = Metadata {
            format: FORMAT,
            use_case: self.use_case.clone(),
            provenance,
            schema_hash: self.schema_hash.clone(),
            model: stored,
        };
        let beside = self.beside(model.version());
        create(&beside)?;
        write(&beside.join(FOREST), &forest)?;
        write(&beside.join(METADATA), &json(&metadata))?;
        match fs::rename(&beside, &place) {
            Ok(()) => Ok(()),
            Err(source) => {
                // What is left of it is in nobody's way.
                drop(fs::remove_dir_all(&beside));
                // Somebody else was faster with the same.
                if place.join(METADATA).is_file() { Ok(()) } else { Err(failed("move a model to", &place)(source)) }
            }
        }
    }

    /// All versions, the youngest first. What cannot be read is left out, with a warning.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn list(&self) -> Result<Vec<Version>, RegistryError> {
        let active = self.read_active()?.version;
        let mut versions = Vec::new();
        for version in self.versions()? {
            match self.metadata(&version) {
                Ok(metadata) => versions.push(Version { active: active.as_ref() == Some(&version), metadata }),
                Err(error) => tracing::warn!(version, %error, "a stored model is left out"),
            }
        }
        versions.sort_by(|a, b| b.metadata.provenance.trained_at.cmp(&a.metadata.provenance.trained_at));
        Ok(versions)
    }

    /// Which version is in force, if there is one; it is neither read nor checked.
    ///
    /// # Errors
    /// When that cannot be read.
    pub fn active_version(&self) -> Result<Option<String>, RegistryError> {
        Ok(self.read_active()?.version)
    }

    /// The version in force, if there is one.
    ///
    /// # Errors
    /// When it cannot be read, is damaged, or does not fit the use case any more.
    pub fn active(&self) -> Result<Option<Model>, RegistryError> {
        self.read_active()?.version.map(|version| self.load(&version)).transpose()
    }

    /// A version, checked.
    ///
    /// # Errors
    /// When there is no such version, it is damaged, or does not fit the use case.
    pub fn load(&self, version: &str) -> Result<Model, RegistryError> {
        let metadata = self.metadata(version)?;
        self.check(version, &metadata)?;
        let path = self.folder.join(version).join(FOREST);
        let forest = fs::read(&path).map_err(failed("read", &path))?;
        let damaged = |error: StoredModelError| RegistryError::Damaged { path, reason: error.to_string() };
        Model::restore(metadata.model, &forest).map_err(damaged)
    }

    /// A version, checked, that may take the place of `in_force` while processors use that: they send the columns that it looks at.
    pub(crate) fn load_after(&self, version: &str, in_force: Option<&Model>) -> Result<Model, RegistryError> {
        let model = self.load(version)?;
        let Some(in_force) = in_force.filter(|in_force| in_force.columns() != model.columns()) else {
            return Ok(model);
        };
        let (now, then) = (model.columns().join(", "), in_force.columns().join(", "));
        let reason = format!(
            "it looks at {now}, and processors send {then}: put it in force by `stream-pulse models activate`, and start ML \
             service and processors again"
        );
        Err(RegistryError::Misfit { version: version.to_owned(), reason })
    }

    /// Puts a version in force, once it is checked, and yields it; `in_force` is what is in use where that happens.
    ///
    /// # Errors
    /// When there is no such version, it is damaged, does not fit the use case, or looks at other columns than what is in use; what
    /// was in force stays so.
    pub fn activate(&self, version: &str, in_force: Option<&Model>) -> Result<Model, RegistryError> {
        let _lock = self.lock_active()?;
        let model = self.load_after(version, in_force)?;
        // One that cannot be read is mended by this.
        let mut active = match self.read_active() {
            Err(RegistryError::Damaged { .. }) => Active::default(),
            read => read?,
        };
        if active.version.as_deref() != Some(version) {
            active.before.extend(active.version.replace(version.to_owned()));
            let forgotten = active.before.len().saturating_sub(HISTORY);
            active.before.drain(..forgotten);
            self.write_active(&active)?;
        }
        Ok(model)
    }

    /// Puts in force what was so before, and yields it; as [`activate`](Self::activate).
    ///
    /// # Errors
    /// When nothing was, or that cannot be put in force any more; what was in force stays so.
    pub fn roll_back(&self, in_force: Option<&Model>) -> Result<Model, RegistryError> {
        let _lock = self.lock_active()?;
        let mut active = self.read_active()?;
        let before = active.before.pop().ok_or(RegistryError::NoVersionBefore)?;
        let model = self.load_after(&before, in_force)?;
        active.version = Some(before);
        self.write_active(&active)?;
        Ok(model)
    }

    fn check(&self, version: &str, metadata: &Metadata) -> Result<(), RegistryError> {
        let misfit = |reason| Err(RegistryError::Misfit { version: version.to_owned(), reason });
        if metadata.use_case != self.use_case {
            return misfit(format!("it was trained for {}", metadata.use_case));
        }
        let columns = metadata.model.info.columns.iter();
        let unknown: Vec<&str> =
            columns.map(|column| column.name.as_str()).filter(|name| !self.columns.iter().any(|c| c == name)).collect();
        if !unknown.is_empty() {
            return misfit(format!(
                "it wants {}, and there are {}: train anew",
                unknown.join(", "),
                self.columns.join(", ")
            ));
        }
        if metadata.schema_hash != self.schema_hash {
            return misfit(format!(
                "its features were of schema {}, and are of schema {} now: train anew",
                metadata.schema_hash, self.schema_hash
            ));
        }
        Ok(())
    }

    fn metadata(&self, version: &str) -> Result<Metadata, RegistryError> {
        let versions = self.versions()?;
        // Whatever is asked for, nothing outside the folder is read.
        if !versions.iter().any(|known| known == version) {
            return Err(RegistryError::Unknown { version: version.to_owned(), known: versions.join(", ") });
        }
        let path = self.folder.join(version).join(METADATA);
        let text = fs::read(&path).map_err(failed("read", &path))?;
        let metadata: Metadata = parse(&path, &text)?;
        if metadata.format != FORMAT {
            let reason = format!("its format is {}, and only {FORMAT} is known", metadata.format);
            return Err(RegistryError::Damaged { path, reason });
        }
        if metadata.model.info.version != version {
            let reason = format!("it is version {}", metadata.model.info.version);
            return Err(RegistryError::Damaged { path, reason });
        }
        Ok(metadata)
    }

    /// The names of all versions that are stored, in their order.
    fn versions(&self) -> Result<Vec<String>, RegistryError> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(failed("read", &self.folder)(source)),
        };
        let mut versions = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed("read", &self.folder))?;
            if entry.path().join(METADATA).is_file()
                && let Some(name) = entry.file_name().to_str().filter(|name| !name.starts_with('.'))
            {
                versions.push(name.to_owned());
            }
        }
        versions.sort();
        Ok(versions)
    }

    fn read_active(&self) -> Result<Active, RegistryError> {
        let path = self.folder.join(ACTIVE);
        match fs::read(&path) {
            Ok(text) => parse(&path, &text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Active::default()),
            Err(source) => Err(failed("read", &path)(source)),
        }
    }

    fn write_active(&self, active: &Active) -> Result<(), RegistryError> {
        let path = self.folder.join(ACTIVE);
        let beside = self.beside(ACTIVE);
        write(&beside, &json(active))?;
        fs::rename(&beside, &path).map_err(failed("write", &path))?;
        // So that it is there after a power cut, too.
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(failed("write", &self.folder))
    }

    /// Keeps others from changing which version is in force, until dropped.
    fn lock_active(&self) -> Result<File, RegistryError> {
        let (file, path) = self.lock_file(ACTIVE_LOCK)?;
        file.lock().map_err(failed("lock", &path))?;
        Ok(file)
    }

    fn lock_file(&self, name: &str) -> Result<(File, PathBuf), RegistryError> {
        create(&self.folder)?;
        let path = self.folder.join(name);
        let file = File::create(&path).map_err(failed("create", &path))?;
        Ok((file, path))
    }

    /// A place for what is to be moved to `name`, which nobody else uses: processes in containers may have the same number.
    fn beside(&self, name: &str) -> PathBuf {
        self.folder.join(format!(".{name}.{}.{:016x}", std::process::id(), rand::rng().random::<u64>()))
    }
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RegistryError {
    let path = path.to_owned();
    move |source| RegistryError::Io { what, path, source }
}

fn create(folder: &Path) -> Result<(), RegistryError> {
    fs::create_dir_all(folder).map_err(failed("create", folder))
}

/// Writes a file, to the disk.
fn write(path: &Path, bytes: &[u8]) -> Result<(), RegistryError> {
    let written = File::create(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(failed("write", path))
}

/// Numbers of models are finite, and their maps have names, so that this cannot fail.
fn json(value: &impl Serialize) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(value).unwrap_or_default();
    text.push(b'\n');
    text
}

fn parse<T: serde::de::DeserializeOwned>(path: &Path, text: &[u8]) -> Result<T, RegistryError> {
    serde_json::from_slice(text)
        .map_err(|error| RegistryError::Damaged { path: path.to_owned(), reason: error.to_string() })
}
