//! Tables in a redb file.
//!
//! - Every commit is durable when it returns, in two phases, and saves the
//!   allocator's state, so that opening after a crash does not walk the file.
//! - A snapshot opens each table at most once.
//! - redb trusts its own file and may panic over one that was altered; such a
//!   panic is reported as damage.

use crate::backend::{Backend, Change, Snapshot};
use crate::data_dir::{DataDir, sync_dir};
use crate::error::{StoreError, guarded};
use crate::layout::{CHAIN_FILE, FORMAT, RETAINED_HEIGHTS, Table, meta};
use redb::{
    Database, DatabaseError, ReadOnlyTable, ReadTransaction, ReadableDatabase, StorageError,
    TableDefinition, TableError,
};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// How a store on disk is opened.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Memory for cached pages, in bytes.
    pub cache_bytes: usize,
    /// Heights that can be proved against, the head included; at least 1.
    pub retained_heights: u64,
    /// Check every page on opening. Takes as long as reading the file; a plain
    /// opening takes the file at its word.
    pub check_integrity: bool,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            // Enough for the upper levels of all trees of a state of millions
            // of records; redb's own default of 1 GiB is too much for a
            // volunteer's machine.
            cache_bytes: 128 << 20,
            retained_heights: RETAINED_HEIGHTS,
            check_integrity: false,
        }
    }
}

type Def = TableDefinition<'static, &'static [u8], &'static [u8]>;
type Opened = ReadOnlyTable<&'static [u8], &'static [u8]>;

fn definition(table: Table) -> Def {
    TableDefinition::new(table.name())
}

pub(crate) struct Disk {
    db: Database,
    // Released after the database is closed. Tests have disks of their own.
    _dir: Option<DataDir>,
}

impl Disk {
    pub(crate) fn open(dir: &DataDir, options: &StoreOptions) -> Result<Self, StoreError> {
        let path = dir.path().join(CHAIN_FILE);
        let db = guarded("opening the chain", || {
            let mut builder = Database::builder();
            builder
                .set_cache_size(options.cache_bytes)
                .set_check_integrity_on_open(options.check_integrity);
            builder.create(&path).map_err(|e| opening(e, &path))
        })?;
        // redb flushes the file, not its name.
        sync_dir(dir.path())
            .map_err(|e| StoreError::disk(format!("flushing {}", dir.path().display()), e))?;
        Self::checked(db, Some(dir.clone()))
    }

    fn checked(db: Database, dir: Option<DataDir>) -> Result<Self, StoreError> {
        let disk = Self { db, _dir: dir };
        guarded("reading the format", || disk.check_format())?;
        Ok(disk)
    }

    /// Writes the format into a new file; refuses another one.
    fn check_format(&self) -> Result<(), StoreError> {
        let read = self.db.begin_read().map_err(broken)?;
        let found = match read.open_table(definition(Table::Meta)) {
            Ok(table) => table
                .get(meta::FORMAT)
                .map_err(broken)?
                .map(|v| v.value().to_vec()),
            Err(TableError::TableDoesNotExist(_)) => {
                drop(read);
                return self.apply(vec![Change::put(
                    Table::Meta,
                    meta::FORMAT,
                    FORMAT.to_be_bytes(),
                )]);
            }
            Err(e) => return Err(broken(e)),
        };
        let found = found
            .and_then(|v| v.try_into().ok().map(u32::from_be_bytes))
            .ok_or_else(|| StoreError::corrupted("the format record is missing or malformed"))?;
        if found != FORMAT {
            return Err(StoreError::Format {
                found,
                supported: FORMAT,
            });
        }
        Ok(())
    }
}

impl Backend for Disk {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        guarded("starting to read", || {
            let read = self.db.begin_read().map_err(broken)?;
            Ok(Box::new(DiskSnapshot {
                read,
                tables: Default::default(),
            }) as _)
        })
    }

    fn apply(&self, mut changes: Vec<Change>) -> Result<(), StoreError> {
        guarded("committing", || {
            let mut write = self.db.begin_write().map_err(broken)?;
            write.set_quick_repair(true);
            // Stable, so that a key's last change wins. All tables are opened,
            // so that all exist from the first commit on.
            changes.sort_by_key(|c| c.table);
            let mut rest = changes.as_slice();
            for table in Table::ALL {
                let mut opened = write.open_table(definition(table)).map_err(broken)?;
                let (these, others) = rest.split_at(rest.partition_point(|c| c.table == table));
                for change in these {
                    let key = change.key.as_slice();
                    match &change.value {
                        Some(value) => opened.insert(key, value.as_slice()).map_err(broken)?,
                        None => opened.remove(key).map_err(broken)?,
                    };
                }
                rest = others;
            }
            write.commit().map_err(broken)
        })
    }
}

struct DiskSnapshot {
    read: ReadTransaction,
    tables: [OnceLock<Opened>; Table::ALL.len()],
}

impl DiskSnapshot {
    fn table(&self, table: Table) -> Result<&Opened, StoreError> {
        let cell = &self.tables[table.index()];
        if let Some(opened) = cell.get() {
            return Ok(opened);
        }
        let opened = self.read.open_table(definition(table)).map_err(broken)?;
        Ok(cell.get_or_init(|| opened))
    }
}

impl Snapshot for DiskSnapshot {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        guarded("reading", || {
            let found = self.table(table)?.get(key).map_err(broken)?;
            Ok(found.map(|guard| guard.value().to_vec()))
        })
    }

    fn scan(
        &self,
        table: Table,
        from: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        guarded("scanning", || {
            for entry in self.table(table)?.range(from..).map_err(broken)? {
                let (key, value) = entry.map_err(broken)?;
                if !visit(key.value(), value.value()) {
                    break;
                }
            }
            Ok(())
        })
    }
}

fn opening(e: DatabaseError, path: &Path) -> StoreError {
    match e {
        // We hold the directory's lock, so whoever has the file went round it.
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            let parent = path.parent().map(PathBuf::from).unwrap_or_default();
            StoreError::InUse {
                path: parent,
                pid: None,
            }
        }
        DatabaseError::Storage(e) => storage(e),
        DatabaseError::UpgradeRequired(v) => StoreError::corrupted(format!(
            "{} is a redb file of the old format {v}, which Aether never wrote",
            path.display()
        )),
        other => StoreError::corrupted(other),
    }
}

fn broken(e: impl Into<redb::Error>) -> StoreError {
    match e.into() {
        redb::Error::Io(e) => StoreError::disk("using the chain file", e),
        redb::Error::PreviousIo => StoreError::disk(
            "using the chain file",
            io::Error::other("it failed before; reopen the store"),
        ),
        other => StoreError::corrupted(other),
    }
}

fn storage(e: StorageError) -> StoreError {
    match e {
        // redb's word for a file that is shorter than it must be, or no redb
        // file at all.
        StorageError::Io(e)
            if matches!(
                e.kind(),
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
            ) =>
        {
            StoreError::corrupted(e)
        }
        other => broken(other),
    }
}

#[cfg(test)]
#[path = "disk_tests.rs"]
mod tests;
