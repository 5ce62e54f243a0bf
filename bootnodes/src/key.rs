//! The bootnode's identity on disk: 64 hex digits, an ed25519 seed, in a file only its owner
//! may read. A missing file is created, so that the first start needs no ceremony; anything
//! else that is wrong stops the start, because a new identity would strand every node that has
//! the old one in its list.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use libp2p::identity;
use thiserror::Error;

/// What is wrong with a key file. The fault is the operator's or the disk's.
#[derive(Debug, Error)]
pub enum KeyFileError {
    /// The file cannot be read or written.
    #[error("key file {path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file does not hold 64 hex digits.
    #[error("key file {0} does not hold 64 hex digits")]
    Malformed(PathBuf),
    /// Others can read the file.
    #[error("key file {0} can be read by others; `chmod 600` it")]
    Exposed(PathBuf),
}

/// Reads the ed25519 seed in `path`; creates the file (mode 0600) with a fresh seed if there is
/// none.
///
/// # Errors
/// See [`KeyFileError`].
pub fn load_or_create(path: &Path) -> Result<[u8; 32], KeyFileError> {
    let io_error = |source| KeyFileError::Io {
        path: path.to_owned(),
        source,
    };
    match fs::read_to_string(path) {
        Ok(text) => {
            is_private(path)
                .map_err(io_error)?
                .then_some(())
                .ok_or_else(|| KeyFileError::Exposed(path.to_owned()))?;
            let mut seed = [0; 32];
            hex::decode_to_slice(text.trim(), &mut seed)
                .map_err(|_| KeyFileError::Malformed(path.to_owned()))?;
            Ok(seed)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let seed = fresh_seed().map_err(io_error)?;
            create(path, &seed).map_err(io_error)?;
            Ok(seed)
        }
        Err(error) => Err(io_error(error)),
    }
}

fn fresh_seed() -> io::Result<[u8; 32]> {
    let pair = identity::Keypair::generate_ed25519()
        .try_into_ed25519()
        .map_err(io::Error::other)?;
    pair.secret().as_ref().try_into().map_err(io::Error::other)
}

fn create(path: &Path, seed: &[u8; 32]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    writeln!(file, "{}", hex::encode(seed))?;
    file.sync_all()
}

/// Whether the file is its owner's alone.
#[cfg(unix)]
fn is_private(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(fs::metadata(path)?.permissions().mode() & 0o077 == 0)
}

#[cfg(not(unix))]
fn is_private(_path: &Path) -> io::Result<bool> {
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_identity_survives_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys/bootnode.key");
        let first = load_or_create(&path).unwrap();
        assert_eq!(load_or_create(&path).unwrap(), first);
    }

    #[test]
    fn a_damaged_or_exposed_key_stops_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        load_or_create(&path).unwrap();
        fs::write(&path, "not hex").unwrap();
        assert!(matches!(
            load_or_create(&path),
            Err(KeyFileError::Malformed(_))
        ));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
            assert!(matches!(
                load_or_create(&path),
                Err(KeyFileError::Exposed(_))
            ));
        }
    }
}
