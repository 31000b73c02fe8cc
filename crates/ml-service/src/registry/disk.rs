//! Reading and writing files so that they are there after a power cut.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use serde::Serialize;

use super::error::RegistryError;

pub(super) fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RegistryError {
    let path = path.to_owned();
    move |source| RegistryError::Io { what, path, source }
}

pub(super) fn create(folder: &Path) -> Result<(), RegistryError> {
    fs::create_dir_all(folder).map_err(failed("create", folder))
}

/// Lets the entries of a folder be there after a power cut, too.
pub(super) fn sync(folder: &Path) -> Result<(), RegistryError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("write", folder))
}

/// Writes a file, to the disk.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), RegistryError> {
    let written = File::create(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(failed("write", path))
}

/// Numbers of models are finite, and their maps have names, so that this cannot fail.
pub(super) fn json(value: &impl Serialize) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(value).unwrap_or_default();
    text.push(b'\n');
    text
}

pub(super) fn parse<T: serde::de::DeserializeOwned>(path: &Path, text: &[u8]) -> Result<T, RegistryError> {
    serde_json::from_slice(text)
        .map_err(|error| RegistryError::Damaged { path: path.to_owned(), reason: error.to_string() })
}
