//! Key files: 64 hex digits, a seed, in a file that only its owner may read.
//!
//! The same form holds an account's ed25519 seed and a validator's BLS seed.
//! Nothing overwrites a key file, and one that others can read is refused:
//! whoever could read it may already have the key.

use super::exit::CliError;
use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::Path;
use zeroize::Zeroizing;

/// Most bytes looked at: 64 digits, white space, nothing else.
const FILE_BYTES_MAX: u64 = 256;

/// A seed out of a file.
pub type Seed = Zeroizing<[u8; 32]>;

/// Reads a key file.
///
/// # Errors
/// When it is missing, can be read by others, or holds no 64 hex digits.
pub fn load(path: &Path) -> Result<Seed, CliError> {
    let file = File::open(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => CliError::config(format!(
            "there is no key file {0}; make one with `aether key new {0}`",
            path.display()
        )),
        _ => CliError::file(path, &e),
    })?;
    // Asked of the open file, so that it cannot be another one by now.
    refuse_exposed(&file, path)?;
    let mut text = Zeroizing::new(String::new());
    file.take(FILE_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(|_| malformed(path))?;
    let mut seed = Zeroizing::new([0; 32]);
    hex::decode_to_slice(text.trim(), &mut *seed).map_err(|_| malformed(path))?;
    Ok(seed)
}

fn malformed(path: &Path) -> CliError {
    CliError::config(format!(
        "key file {} does not hold 64 hex digits",
        path.display()
    ))
}

/// Makes a key file with a fresh seed, and its folder where missing.
///
/// # Errors
/// When the file exists, or cannot be written.
pub fn create(path: &Path) -> Result<Seed, CliError> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed)
        .map_err(|e| CliError::config(format!("the system gives no randomness: {e}")))?;
    if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(|e| CliError::file(folder, &e))?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::AlreadyExists => CliError::config(format!(
            "{} exists; a key file is never overwritten, choose another name or move it away",
            path.display()
        )),
        _ => CliError::file(path, &e),
    })?;
    let text = Zeroizing::new(hex::encode(&seed[..]) + "\n");
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(|e| CliError::file(path, &e))?;
    Ok(seed)
}

#[cfg(unix)]
fn refuse_exposed(file: &File, path: &Path) -> Result<(), CliError> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = file
        .metadata()
        .map_err(|e| CliError::file(path, &e))?
        .permissions()
        .mode();
    if mode & 0o077 != 0 {
        let shown = path.display();
        return Err(CliError::config(format!(
            "key file {shown} can be read by others (mode {:03o}); `chmod 600 {shown}`, and if \
             anybody else uses this machine, make a new key",
            mode & 0o777
        )));
    }
    Ok(())
}

#[cfg(not(unix))]
fn refuse_exposed(_file: &File, _path: &Path) -> Result<(), CliError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::exit::Exit;

    #[test]
    fn a_key_survives_and_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/key");
        let seed = create(&path).unwrap();
        assert_eq!(load(&path).unwrap(), seed);
        let again = create(&path).unwrap_err();
        assert_eq!(again.exit, Exit::Config);
        assert!(again.message.contains("never overwritten"), "{again}");
        assert_eq!(load(&path).unwrap(), seed);
        assert_ne!(create(&folder.path().join("other")).unwrap(), seed);
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        create(&path).unwrap();
        let mode = |m| fs::set_permissions(&path, fs::Permissions::from_mode(m)).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        for exposed in [0o640, 0o604, 0o620, 0o666] {
            mode(exposed);
            let e = load(&path).unwrap_err();
            assert_eq!(e.exit, Exit::Config);
            assert!(e.message.contains(&format!("mode {exposed:03o}")), "{e}");
            assert!(e.message.contains("chmod 600"), "{e}");
        }
        mode(0o400);
        load(&path).unwrap();
    }

    #[test]
    fn what_is_no_key_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let e = load(&path).unwrap_err();
        assert!(e.message.contains("aether key new"), "{e}");
        create(&path).unwrap();
        for text in [
            "",
            "beef",
            &"g".repeat(64),
            &"a".repeat(66),
            &"a".repeat(1_000),
        ] {
            fs::write(&path, text).unwrap();
            assert!(
                load(&path).unwrap_err().message.contains("64 hex digits"),
                "{text}"
            );
        }
        fs::write(&path, "AB".repeat(32) + " \n").unwrap();
        assert_eq!(*load(&path).unwrap(), [0xab; 32]);
    }
}
