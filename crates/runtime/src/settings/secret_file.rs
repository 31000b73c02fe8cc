//! Secrets in files, as orchestrators mount them.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use super::secret::Secret;

/// More is no secret but a file that was named by mistake.
const MAX_BYTES: u64 = 64 << 10;

/// Why a file gave no secret. None of the texts holds what is in it.
#[derive(Debug, thiserror::Error)]
pub(super) enum SecretFileError {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Io(io::Error),
    /// It is too large.
    #[error("is larger than {} KiB: it must hold the secret and nothing else", MAX_BYTES >> 10)]
    Large,
    /// It is no text.
    #[error("must hold text in UTF-8")]
    NoText,
    /// Nothing is in it.
    #[error("must not be empty")]
    Empty,
}

/// The secret in `path`, without the line end that editors add.
pub(super) fn read(path: &Path) -> Result<Secret, SecretFileError> {
    let file = File::open(path).map_err(SecretFileError::Io)?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(SecretFileError::Io)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(SecretFileError::Large);
    }
    let text = String::from_utf8(bytes).map_err(|_| SecretFileError::NoText)?;
    match text.trim_end_matches(['\n', '\r']) {
        "" => Err(SecretFileError::Empty),
        secret => Ok(Secret::new(secret)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_end_is_no_part_of_a_secret() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let read_back = |content: &[u8]| {
            std::fs::write(&path, content).unwrap();
            read(&path).map(|secret| secret.expose().to_owned()).map_err(|error| error.to_string())
        };
        assert_eq!(read_back(b"a b\xc3\xa9 \r\n").unwrap(), "a b\u{e9} ");
        assert_eq!(read_back(b"as it is").unwrap(), "as it is");
        assert_eq!(read_back(b"\n").unwrap_err(), "must not be empty");
        assert_eq!(read_back(b"hunter2\xff").unwrap_err(), "must hold text in UTF-8");
        assert!(read_back(&vec![b'x'; 70_000]).unwrap_err().starts_with("is larger than 64 KiB"));
        assert!(read(Path::new("/nowhere/secret")).unwrap_err().to_string().starts_with("cannot be read: "));
    }
}
