//! Secret keys in files: 64 hex digits and a newline, readable by the owner
//! only.
//!
//! A file that others may read is refused: a key that leaked is worth nothing,
//! and the operator must hear of it. Nothing is ever overwritten.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Why a key file cannot be used. The operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// Not there, or not readable.
    #[error("key file {path}: {error}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// Others may read it.
    #[error("key file {0} may be read by others; run: chmod 600 {0}")]
    Exposed(PathBuf),
    /// Not 64 hex digits.
    #[error("key file {0} must hold 64 hex digits")]
    Malformed(PathBuf),
}

/// Reads 32 secret bytes.
pub fn read(path: &Path) -> Result<Zeroizing<[u8; 32]>, KeyFileError> {
    let io = |error| KeyFileError::Io {
        path: path.to_owned(),
        error,
    };
    let meta = fs::metadata(path).map_err(io)?;
    if meta.mode() & 0o077 != 0 {
        return Err(KeyFileError::Exposed(path.to_owned()));
    }
    if meta.len() > 1024 {
        return Err(KeyFileError::Malformed(path.to_owned()));
    }
    let text = Zeroizing::new(fs::read_to_string(path).map_err(io)?);
    let mut seed = Zeroizing::new([0; 32]);
    hex::decode_to_slice(text.trim(), seed.as_mut())
        .map_err(|_| KeyFileError::Malformed(path.to_owned()))?;
    Ok(seed)
}

/// Writes 32 secret bytes to a new file.
pub fn write(path: &Path, seed: &[u8; 32]) -> Result<(), KeyFileError> {
    let io = |error| KeyFileError::Io {
        path: path.to_owned(),
        error,
    };
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(io)?;
    let text = Zeroizing::new(format!("{}\n", hex::encode(seed)));
    file.write_all(text.as_bytes()).map_err(io)?;
    file.sync_all().map_err(io)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn exposed_malformed_and_existing_files_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        write(&path, &[7; 32]).unwrap();
        assert_eq!(*read(&path).unwrap(), [7; 32]);
        assert!(matches!(
            write(&path, &[8; 32]),
            Err(KeyFileError::Io { .. })
        ));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(read(&path), Err(KeyFileError::Exposed(_))));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "not hex").unwrap();
        assert!(matches!(read(&path), Err(KeyFileError::Malformed(_))));
        assert!(matches!(
            read(&dir.path().join("no")),
            Err(KeyFileError::Io { .. })
        ));
    }
}
