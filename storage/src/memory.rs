//! Tables in memory, for tests and simulations.
//!
//! A snapshot shares the maps; they are copied only when something is applied
//! while a snapshot is still held.

use crate::backend::{Backend, Change, Snapshot};
use crate::error::StoreError;
use crate::layout::Table;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock};

type Maps = [Arc<BTreeMap<Vec<u8>, Vec<u8>>>; Table::ALL.len()];

#[derive(Default)]
pub(crate) struct Memory(RwLock<Maps>);

struct MemorySnapshot(Maps);

impl Backend for Memory {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        let maps = self
            .0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        Ok(Box::new(MemorySnapshot(maps)))
    }

    fn apply(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        let mut maps = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for change in changes {
            let map = Arc::make_mut(&mut maps[change.table.index()]);
            match change.value {
                Some(value) => map.insert(change.key, value),
                None => map.remove(&change.key),
            };
        }
        Ok(())
    }
}

impl Snapshot for MemorySnapshot {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0[table.index()].get(key).cloned())
    }

    fn scan(
        &self,
        table: Table,
        from: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        let range = (Bound::Included(from), Bound::Unbounded);
        for (key, value) in self.0[table.index()].range::<[u8], _>(range) {
            if !visit(key, value) {
                break;
            }
        }
        Ok(())
    }
}
