//! A data directory and the lock that makes it one process' own.
//!
//! The lock is the operating system's, on the file `lock`, so it vanishes with
//! the process however that ends. The file holds the pid, for the message a
//! second process gives.

use crate::error::StoreError;
use crate::layout::LOCK_FILE;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A directory that is ours until the last clone is dropped.
#[derive(Clone, Debug)]
pub struct DataDir(Arc<Locked>);

#[derive(Debug)]
struct Locked {
    path: PathBuf,
    // Closing it releases the lock.
    _file: File,
}

/// Tries for half a second: a process that is just ending, or a child of
/// this one between fork and exec, holds the lock for a moment longer.
fn patiently(file: &File) -> Result<(), TryLockError> {
    const TRIES: u32 = 25;
    const BETWEEN: std::time::Duration = std::time::Duration::from_millis(20);
    for _ in 1..TRIES {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(BETWEEN),
            other => return other,
        }
    }
    file.try_lock()
}

impl DataDir {
    /// Makes the directory if there is none (for its owner only) and locks it.
    ///
    /// [`StoreError::InUse`] when another process has it, or this one has
    /// opened it before.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let path = path.into();
        let doing = |what: &str| format!("{what} {}", path.display());
        create_private(&path).map_err(|e| StoreError::disk(doing("making"), e))?;
        let lock = path.join(LOCK_FILE);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&lock)
            .map_err(|e| StoreError::disk(doing("opening the lock in"), e))?;
        match patiently(&file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // The pid is a courtesy: no pid, no harm.
                let _ = (&mut file).take(16).read_to_string(&mut text);
                return Err(StoreError::InUse {
                    path,
                    pid: text.trim().parse().ok(),
                });
            }
            Err(TryLockError::Error(e)) => return Err(StoreError::disk(doing("locking"), e)),
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(format!("{}\n", std::process::id()).as_bytes()))
            .map_err(|e| StoreError::disk(doing("writing the lock in"), e))?;
        Ok(Self(Arc::new(Locked { path, _file: file })))
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.0.path
    }
}

pub(crate) fn create_private(path: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(path)
}

/// Makes names in a directory outlive a power cut.
pub(crate) fn sync_dir(path: &Path) -> std::io::Result<()> {
    // Elsewhere directories cannot be opened, and renames are journalled.
    if cfg!(unix) {
        File::open(path)?.sync_all()
    } else {
        Ok(())
    }
}
