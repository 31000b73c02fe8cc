//! The versions of a use case's model: in the folder `models` of its folder, unless the setting `models` names another place.
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

mod disk;
mod error;
mod record;

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use pulse_features::{Featurizer, UseCaseDir, UseCaseError};
use pulse_scoring::{Model, StoredModelError};
use rand::Rng as _;

use disk::{create, failed, json, parse, sync, write};
pub use error::RegistryError;
use record::Active;
pub use record::{Metadata, Provenance, Standing, Version};

const METADATA: &str = "model.json";
const FOREST: &str = "forest.bin";
const ACTIVE: &str = "active.json";
const LOCK: &str = "lock";
const ACTIVE_LOCK: &str = "active.lock";
/// Rises when what is stored means something else.
const FORMAT: u32 = 2;
/// Versions that one can go back to.
const HISTORY: usize = 32;
/// What is older than this and was to be moved to its place will not be.
const LEFT_BEHIND: Duration = Duration::from_secs(3600);

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
        Ok(Self { folder: dir.models.clone(), use_case, schema_hash, columns })
    }

    /// Takes the right to train, which one process has at a time.
    ///
    /// # Errors
    /// When somebody else has it, or the folder cannot be written.
    pub fn lock(&self) -> Result<TrainingLock, RegistryError> {
        let (file, path) = self.lock_file(LOCK)?;
        match file.try_lock() {
            Ok(()) => {
                self.tidy();
                Ok(TrainingLock(file))
            }
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
        sync(&beside)?;
        match fs::rename(&beside, &place) {
            Ok(()) => sync(&self.folder),
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
        let Standing { active, candidate } = self.standing()?;
        let known = self.versions()?;
        let mut versions = Vec::new();
        for version in &known {
            let used = |used: &Option<String>| used.as_ref() == Some(version);
            match self.metadata(version, &known) {
                Ok(metadata) => {
                    versions.push(Version { active: used(&active), candidate: used(&candidate), metadata });
                }
                Err(error) => tracing::warn!(version, %error, "a stored model is left out"),
            }
        }
        versions.sort_by(|a, b| b.metadata.provenance.trained_at.cmp(&a.metadata.provenance.trained_at));
        Ok(versions)
    }

    /// Which versions are used; they are neither read nor checked.
    ///
    /// # Errors
    /// When that cannot be read.
    pub fn standing(&self) -> Result<Standing, RegistryError> {
        let Active { version: active, candidate, .. } = self.read_active()?;
        Ok(Standing { active, candidate })
    }

    /// When a version was trained; none where it is not stored, or cannot be read.
    pub(crate) fn trained_at(&self, version: &str) -> Option<Timestamp> {
        #[derive(serde::Deserialize)]
        struct Trained {
            trained_at: String,
        }
        let text = fs::read(self.folder.join(version).join(METADATA)).ok()?;
        serde_json::from_slice::<Trained>(&text).ok()?.trained_at.parse().ok()
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
        let metadata = self.metadata(version, &self.versions()?)?;
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
        let is_candidate = active.candidate.take_if(|candidate| candidate == version).is_some();
        let changes = active.version.as_deref() != Some(version);
        if changes {
            active.before.extend(active.version.replace(version.to_owned()));
            let forgotten = active.before.len().saturating_sub(HISTORY);
            active.before.drain(..forgotten);
        }
        if changes || is_candidate {
            self.write_active(&active)?;
        }
        Ok(model)
    }

    /// Puts a version in force where none is, and says whether it did.
    ///
    /// # Errors
    /// As [`activate`](Self::activate).
    pub(crate) fn activate_first(&self, version: &str) -> Result<bool, RegistryError> {
        let _lock = self.lock_active()?;
        let mut active = self.read_active()?;
        let is_first = active.version.is_none();
        if is_first {
            self.load(version)?;
            active.version = Some(version.to_owned());
            self.write_active(&active)?;
        }
        Ok(is_first)
    }

    /// Lets a version score beside the one in force, once it is checked, or none any more; yields it.
    ///
    /// # Errors
    /// When there is no such version, it is damaged, does not fit the use case, is in force itself, or looks at other columns than what is.
    pub fn set_candidate(
        &self,
        version: Option<&str>,
        in_force: Option<&Model>,
    ) -> Result<Option<Model>, RegistryError> {
        let _lock = self.lock_active()?;
        let mut active = self.read_active()?;
        let model = version.map(|version| self.load_candidate(version, &active, in_force)).transpose()?;
        active.candidate = version.map(str::to_owned);
        self.write_active(&active)?;
        Ok(model)
    }

    fn load_candidate(&self, version: &str, active: &Active, in_force: Option<&Model>) -> Result<Model, RegistryError> {
        let refused =
            |reason: &str| Err(RegistryError::NoCandidate { version: version.to_owned(), reason: reason.to_owned() });
        let model = self.load(version)?;
        if active.version.as_deref() == Some(version) || in_force.is_some_and(|model| **model.version() == *version) {
            return refused("it is in force itself");
        }
        let named = || self.metadata(active.version.as_deref()?, &self.versions().ok()?).ok();
        let columns = match in_force {
            Some(in_force) => Some(in_force.columns().to_vec()),
            None => named().map(|known| known.model.info.columns.into_iter().map(|column| column.name).collect()),
        };
        match columns {
            Some(columns) if columns != model.columns() => refused(&format!(
                "it looks at {}, and the one in force at {}: what is scored has the columns of that one",
                model.columns().join(", "),
                columns.join(", ")
            )),
            _ => Ok(model),
        }
    }

    /// Removes a version for good.
    ///
    /// # Errors
    /// When there is none, it is used, or the folder cannot be written.
    pub fn remove(&self, version: &str) -> Result<(), RegistryError> {
        let _lock = self.lock_active()?;
        let mut active = self.read_active()?;
        let used = [&active.version, &active.candidate].into_iter().flatten().any(|used| used == version);
        if used {
            return Err(RegistryError::InUse(version.to_owned()));
        }
        let place = self.known(version, &self.versions()?)?;
        active.before.retain(|before| before != version);
        self.write_active(&active)?;
        // Out of sight first: who looks meanwhile sees all of it or nothing.
        let beside = self.beside(version);
        fs::rename(&place, &beside).map_err(failed("remove", &place))?;
        fs::remove_dir_all(&beside).map_err(failed("remove", &beside))
    }

    /// Puts in force what was so before, and yields it; as [`activate`](Self::activate).
    ///
    /// # Errors
    /// When nothing was, or that cannot be put in force any more; what was in force stays so.
    pub fn roll_back(&self, in_force: Option<&Model>) -> Result<Model, RegistryError> {
        let _lock = self.lock_active()?;
        let mut active = self.read_active()?;
        let versions = self.versions()?;
        // What was removed since is passed over.
        let before = std::iter::from_fn(|| active.before.pop()).find(|before| versions.contains(before));
        let before = before.ok_or(RegistryError::NoVersionBefore)?;
        let model = self.load_after(&before, in_force)?;
        active.candidate.take_if(|candidate| *candidate == before);
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

    /// The place of a version, which is one of `known`: whatever is asked for, nothing outside the folder is touched.
    fn known(&self, version: &str, known: &[String]) -> Result<PathBuf, RegistryError> {
        if known.iter().any(|known| known == version) {
            Ok(self.folder.join(version))
        } else {
            Err(RegistryError::Unknown { version: version.to_owned(), known: known.join(", ") })
        }
    }

    fn metadata(&self, version: &str, known: &[String]) -> Result<Metadata, RegistryError> {
        let path = self.known(version, known)?.join(METADATA);
        let text = fs::read(&path).map_err(failed("read", &path))?;
        let metadata: Metadata = parse(&path, &text)?;
        if metadata.format == 0 || metadata.format > FORMAT {
            let reason = format!("its format is {}, and 1 to {FORMAT} are known", metadata.format);
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
        sync(&self.folder)
    }

    /// Removes what was being written by somebody who was killed at it.
    fn tidy(&self) {
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let is_beside = entry.file_name().to_str().is_some_and(|name| name.starts_with('.'));
            let modified = entry.metadata().and_then(|metadata| metadata.modified()).ok();
            let is_old = modified.and_then(|at| at.elapsed().ok()).is_some_and(|age| age > LEFT_BEHIND);
            if is_beside && is_old {
                let path = entry.path();
                let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
                if let Err(error) = removed {
                    tracing::warn!(path = %path.display(), %error, "what a killed training left behind cannot be removed");
                }
            }
        }
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
