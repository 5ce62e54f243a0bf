//! The state as the transition sees it: sorted keys, bytes for values.
//!
//! - [`StateReader`] is implemented by storage (memory and redb) over the last
//!   committed block; reading may fail, which is our own fault, never a
//!   peer's.
//! - [`Overlay`] collects a block's writes above a reader. Nothing else
//!   writes; the writes of a block are committed together or not at all.

use std::collections::BTreeMap;
use std::ops::Bound;

/// The store could not be read. Ours: the node must stop rather than guess.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("state could not be read: {0}")]
pub struct StateError(pub String);

/// A key with its value.
pub type Entry = (Vec<u8>, Vec<u8>);

/// The committed state below a block.
pub trait StateReader {
    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError>;

    /// Up to `limit` entries whose keys start with `prefix` and are greater
    /// than or equal to `from`, in ascending key order.
    fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Entry>, StateError>;
}

/// What a block changes: `None` removes the key.
pub type Writes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// A block's writes above a reader.
pub struct Overlay<'a> {
    base: &'a dyn StateReader,
    writes: Writes,
}

impl<'a> Overlay<'a> {
    /// Nothing written yet.
    pub fn new(base: &'a dyn StateReader) -> Self {
        Self {
            base,
            writes: Writes::new(),
        }
    }

    /// Sets a key.
    pub fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.writes.insert(key, Some(value));
    }

    /// Removes a key.
    pub fn remove(&mut self, key: Vec<u8>) {
        self.writes.insert(key, None);
    }

    /// The writes, to be committed.
    pub fn into_writes(self) -> Writes {
        self.writes
    }

    /// Takes over the writes of an overlay above this one: a transaction is
    /// tried on its own overlay, and absorbed only when all of it succeeded.
    pub fn absorb(&mut self, writes: Writes) {
        self.writes.extend(writes);
    }
}

impl StateReader for Overlay<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        match self.writes.get(key) {
            Some(value) => Ok(value.clone()),
            None => self.base.get(key),
        }
    }

    fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Entry>, StateError> {
        let start = if from > prefix { from } else { prefix };
        let mine = self
            .writes
            .range::<[u8], _>((Bound::Included(start), Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix));
        let mut merged: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        let mut removed = 0usize;
        let mut written: Vec<(&Vec<u8>, &Option<Vec<u8>>)> = Vec::new();
        for entry in mine {
            removed += usize::from(entry.1.is_none());
            written.push(entry);
        }
        // Enough from below that even if all removed keys were among them,
        // `limit` entries remain.
        for (key, value) in self
            .base
            .scan(prefix, from, limit.saturating_add(removed))?
        {
            merged.insert(key, value);
        }
        for (key, value) in written {
            match value {
                Some(value) => merged.insert(key.clone(), value.clone()),
                None => merged.remove(key),
            };
        }
        Ok(merged.into_iter().take(limit).collect())
    }
}

/// A reader over a plain map: tests, simulations, and the genesis.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MapState(pub BTreeMap<Vec<u8>, Vec<u8>>);

impl MapState {
    /// Applies a block's writes.
    pub fn commit(&mut self, writes: &Writes) {
        for (key, value) in writes {
            match value {
                Some(value) => self.0.insert(key.clone(), value.clone()),
                None => self.0.remove(key),
            };
        }
    }
}

impl StateReader for MapState {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.0.get(key).cloned())
    }

    fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Entry>, StateError> {
        let start = if from > prefix { from } else { prefix };
        Ok(self
            .0
            .range::<[u8], _>((Bound::Included(start), Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .take(limit)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scan_sees_writes_removals_and_the_base_in_order() {
        let mut base = MapState::default();
        for k in ["a1", "a2", "a3", "b1"] {
            base.0.insert(k.into(), b"base".to_vec());
        }
        let mut over = Overlay::new(&base);
        over.remove(b"a1".to_vec());
        over.put(b"a25".to_vec(), b"new".to_vec());
        let keys = |limit, from: &[u8]| -> Vec<String> {
            let found = over.scan(b"a", from, limit).unwrap();
            found
                .into_iter()
                .map(|(k, _)| String::from_utf8(k).unwrap())
                .collect()
        };
        assert_eq!(keys(10, b""), ["a2", "a25", "a3"]);
        assert_eq!(keys(2, b""), ["a2", "a25"]);
        assert_eq!(keys(10, b"a25"), ["a25", "a3"]);
        assert_eq!(over.get(b"a1").unwrap(), None);
    }
}
