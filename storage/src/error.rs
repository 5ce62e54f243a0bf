//! What can go wrong, and whose fault it is.

use aether_mesh::{BlobError, BlockId, ChainId, Slot, StateError};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

/// A store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The machine's: the disk refused. Stop; nothing half-done was kept.
    #[error("the disk refused while {doing}: {source}")]
    Disk {
        /// What we were doing.
        doing: String,
        /// What the system said.
        source: io::Error,
    },
    /// The machine's (or a bug of ours): what is stored is not what we wrote.
    /// Stop; restore from a snapshot or sync anew.
    #[error("the stored data is damaged: {0}")]
    Corrupted(String),
    /// The operator's: another process has the data directory.
    #[error(
        "the data directory {} is in use by {}; stop that process, or give this one another \
         data directory", .path.display(), holder(.pid)
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// The process, when it could be told.
        pid: Option<u32>,
    },
    /// The operator's: the directory holds another network's chain.
    #[error(
        "the data directory belongs to chain {found}, not {wanted}; give each network its own \
         data directory"
    )]
    OtherChain {
        /// The chain that is stored.
        found: ChainId,
        /// The chain that was asked for.
        wanted: ChainId,
    },
    /// The operator's: written by another version of this software.
    #[error("the data has format {found}, this build reads format {supported}; {}", remedy(*.found, *.supported))]
    Format {
        /// The format that is stored.
        found: u32,
        /// The format this build knows.
        supported: u32,
    },
    /// Ours: a store is used before its genesis was written.
    #[error("the store has no genesis yet")]
    NotInitialised,
    /// Ours: a genesis is written into a store that has one.
    #[error("the store already has its genesis")]
    AlreadyInitialised,
    /// Ours: a block that does not follow the head.
    #[error("block {got_height} on {got_parent} does not follow the head {head_height}, {head}")]
    OutOfOrder {
        /// Height of the block that was to be stored.
        got_height: Slot,
        /// Its parent.
        got_parent: BlockId,
        /// Height of the head.
        head_height: Slot,
        /// The head.
        head: BlockId,
    },
    /// Ours: the parts of a commit do not belong together.
    #[error("not one commit: {0}")]
    Mismatch(&'static str),
    /// The asker's: the tree of that height is not kept (any more, or yet).
    #[error("height {height} cannot be proved: provable are {from} to {to}")]
    NotRetained {
        /// The height asked for.
        height: Slot,
        /// Lowest provable height.
        from: Slot,
        /// The head.
        to: Slot,
    },
    /// The operator's: no room for the blob within the configured limit.
    #[error(
        "no room for a blob of {needed} bytes: {used} of {max} bytes are used; remove blobs or \
         raise blobs_bytes_max"
    )]
    BlobsFull {
        /// What the blob takes on disk.
        needed: u64,
        /// What is taken already.
        used: u64,
        /// The limit.
        max: u64,
    },
    /// The sender's: bytes that are not the blob's.
    #[error(transparent)]
    WrongBlob(#[from] BlobError),
}

fn holder(pid: &Option<u32>) -> String {
    match pid {
        Some(pid) => format!("process {pid}"),
        None => "another process".into(),
    }
}

fn remedy(found: u32, supported: u32) -> &'static str {
    if found > supported {
        "run the newer version that wrote it"
    } else {
        "sync anew into an empty data directory"
    }
}

impl StoreError {
    pub(crate) fn disk(doing: impl Into<String>, source: io::Error) -> Self {
        Self::Disk {
            doing: doing.into(),
            source,
        }
    }

    pub(crate) fn corrupted(what: impl std::fmt::Display) -> Self {
        Self::Corrupted(what.to_string())
    }
}

impl From<StoreError> for StateError {
    fn from(e: StoreError) -> Self {
        StateError(e.to_string())
    }
}

/// Runs code of libraries that may panic over damaged data, and calls that
/// damage what it is.
pub(crate) fn guarded<T>(
    doing: &'static str,
    f: impl FnOnce() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|panic| {
        let what = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no reason given");
        Err(StoreError::Corrupted(format!("{doing}: {what}")))
    })
}
