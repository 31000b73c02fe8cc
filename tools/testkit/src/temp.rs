//! A place for a store that goes away with the test.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A temporary folder with the path of a store's file in it.
#[derive(Debug)]
pub struct TempStore {
    folder: TempDir,
    file: PathBuf,
}

impl TempStore {
    /// A new, empty folder.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new() -> std::io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("pulse.db");
        Ok(Self { folder, file })
    }

    /// Where the store's file goes; nothing is there yet.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}
