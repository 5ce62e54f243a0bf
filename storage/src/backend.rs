//! The narrow door between the chain's logic and where its bytes lie.
//!
//! The logic reads a [`Snapshot`], works out a list of [`Change`]s, and hands
//! them over in one piece. It never writes by halves and never reads its own
//! unfinished writes, so a backend is little more than a sorted map.

use crate::error::StoreError;
use crate::layout::Table;

/// One write: `None` removes the key.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) table: Table,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Option<Vec<u8>>,
}

impl Change {
    pub(crate) fn put(table: Table, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        Self {
            table,
            key: key.into(),
            value: Some(value.into()),
        }
    }

    pub(crate) fn remove(table: Table, key: impl Into<Vec<u8>>) -> Self {
        Self {
            table,
            key: key.into(),
            value: None,
        }
    }
}

/// The tables as of one moment, whatever is applied meanwhile.
pub(crate) trait Snapshot: Send + Sync {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Visits entries from `from` on in ascending order until `visit` says
    /// `false`.
    fn scan(
        &self,
        table: Table,
        from: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreError>;
}

/// Where the tables lie.
pub(crate) trait Backend: Send + Sync {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError>;

    /// All of it, durably, or nothing.
    fn apply(&self, changes: Vec<Change>) -> Result<(), StoreError>;
}
