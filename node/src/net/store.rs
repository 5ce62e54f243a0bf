//! The DHT's record store: bounded, and it forgets what has expired.
//!
//! libp2p's memory store keeps dead providers until somebody asks for their key and counts them
//! against its limits. This one does not:
//!
//! - Nothing expired is ever returned; [`BoundedStore::sweep`] removes it from memory.
//! - What we publish ourselves always finds room; others' records fill at most the limits.
//! - At most 20 providers per key (Kademlia's k; callers shard their keys), first come, first
//!   kept: a flood of newcomers cannot displace those that are there.
//!
//! Values are checked by the caller before they come here (see `dht.rs`).

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap, hash_map},
};

use libp2p::{
    PeerId,
    kad::{
        K_VALUE, ProviderRecord, Record, RecordKey,
        store::{Error, RecordStore, Result},
    },
};
use tokio::time::Instant;

/// Keys longer than this are refused; ours are 32-byte hashes.
pub(super) const KEY_BYTES_MAX: usize = 64;

/// Records and provider records, bounded.
#[derive(Debug)]
pub(super) struct BoundedStore {
    local: PeerId,
    bounds: StoreBounds,
    records: HashMap<RecordKey, Record>,
    providers: HashMap<RecordKey, BTreeMap<PeerId, ProviderRecord>>,
    /// The provider records that name us.
    provided: HashMap<RecordKey, ProviderRecord>,
}

/// What others can make the store hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct StoreBounds {
    pub(super) records: usize,
    pub(super) record_bytes: usize,
    pub(super) provider_keys: usize,
}

impl BoundedStore {
    pub(super) fn new(local: PeerId, bounds: StoreBounds) -> Self {
        Self {
            local,
            bounds,
            records: HashMap::new(),
            providers: HashMap::new(),
            provided: HashMap::new(),
        }
    }

    /// Removes what has expired.
    pub(super) fn sweep(&mut self, now: Instant) {
        let now = now.into_std();
        self.records.retain(|_, record| !record.is_expired(now));
        self.providers.retain(|_, providers| {
            providers.retain(|_, record| !record.is_expired(now));
            !providers.is_empty()
        });
    }

    pub(super) fn records_held(&self) -> usize {
        self.records.len()
    }

    fn is_own(&self, record: &Record) -> bool {
        record.publisher == Some(self.local)
    }
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}

impl RecordStore for BoundedStore {
    type RecordsIter<'a> =
        std::iter::Map<hash_map::Values<'a, RecordKey, Record>, fn(&'a Record) -> Cow<'a, Record>>;
    type ProvidedIter<'a> = std::iter::Map<
        hash_map::Values<'a, RecordKey, ProviderRecord>,
        fn(&'a ProviderRecord) -> Cow<'a, ProviderRecord>,
    >;

    fn get(&self, key: &RecordKey) -> Option<Cow<'_, Record>> {
        let record = self.records.get(key)?;
        (!record.is_expired(now())).then_some(Cow::Borrowed(record))
    }

    fn put(&mut self, record: Record) -> Result<()> {
        if record.value.len() > self.bounds.record_bytes
            || record.key.as_ref().len() > KEY_BYTES_MAX
        {
            return Err(Error::ValueTooLarge);
        }
        let is_new = !self.records.contains_key(&record.key);
        if is_new && !self.is_own(&record) && self.records.len() >= self.bounds.records {
            return Err(Error::MaxRecords);
        }
        self.records.insert(record.key.clone(), record);
        Ok(())
    }

    fn remove(&mut self, key: &RecordKey) {
        self.records.remove(key);
    }

    fn records(&self) -> Self::RecordsIter<'_> {
        self.records.values().map(Cow::Borrowed)
    }

    fn add_provider(&mut self, record: ProviderRecord) -> Result<()> {
        if record.key.as_ref().len() > KEY_BYTES_MAX {
            return Err(Error::ValueTooLarge);
        }
        let own = record.provider == self.local;
        let keys = self.providers.len();
        if own {
            self.provided.insert(record.key.clone(), record.clone());
        }
        match self.providers.entry(record.key.clone()) {
            hash_map::Entry::Vacant(_) if !own && keys >= self.bounds.provider_keys => {
                Err(Error::MaxProvidedKeys)
            }
            entry => {
                let providers = entry.or_default();
                let known = providers.contains_key(&record.provider);
                if own || known || providers.len() < K_VALUE.get() {
                    providers.insert(record.provider, record);
                }
                Ok(())
            }
        }
    }

    fn providers(&self, key: &RecordKey) -> Vec<ProviderRecord> {
        let now = now();
        let Some(providers) = self.providers.get(key) else {
            return Vec::new();
        };
        providers
            .values()
            .filter(|record| !record.is_expired(now))
            .cloned()
            .collect()
    }

    fn provided(&self) -> Self::ProvidedIter<'_> {
        self.provided.values().map(Cow::Borrowed)
    }

    fn remove_provider(&mut self, key: &RecordKey, provider: &PeerId) {
        if *provider == self.local {
            self.provided.remove(key);
        }
        if let hash_map::Entry::Occupied(mut providers) = self.providers.entry(key.clone()) {
            providers.get_mut().remove(provider);
            if providers.get().is_empty() {
                providers.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn store(local: PeerId) -> BoundedStore {
        BoundedStore::new(
            local,
            StoreBounds {
                records: 2,
                record_bytes: 4,
                provider_keys: 2,
            },
        )
    }

    fn record(key: u8, ttl: Duration) -> Record {
        let mut record = Record::new(vec![key], vec![key]);
        record.expires = Some(now() + ttl);
        record
    }

    fn provider(key: u8, provider: PeerId, ttl: Duration) -> ProviderRecord {
        let mut record = ProviderRecord::new(vec![key], provider, vec![]);
        record.expires = Some(now() + ttl);
        record
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn others_fill_the_store_and_we_still_find_room() {
        let local = PeerId::random();
        let mut store = store(local);
        store.put(record(1, MINUTE)).unwrap();
        store.put(record(2, MINUTE)).unwrap();
        assert!(matches!(
            store.put(record(3, MINUTE)),
            Err(Error::MaxRecords)
        ));
        let mut own = record(3, MINUTE);
        own.publisher = Some(local);
        store.put(own).unwrap();
        store.put(record(1, MINUTE)).unwrap(); // an update needs no room
        assert_eq!(store.records_held(), 3);

        for key in [1, 2] {
            store
                .add_provider(provider(key, PeerId::random(), MINUTE))
                .unwrap();
        }
        assert!(
            store
                .add_provider(provider(3, PeerId::random(), MINUTE))
                .is_err()
        );
        store.add_provider(provider(3, local, MINUTE)).unwrap();
        assert_eq!(store.provided().count(), 1);
        store.remove_provider(&RecordKey::from(vec![3]), &local);
        assert_eq!(store.provided().count(), 0);
    }

    #[test]
    fn what_has_expired_is_neither_returned_nor_kept() {
        let mut store = store(PeerId::random());
        store.put(record(1, Duration::ZERO)).unwrap();
        store
            .add_provider(provider(1, PeerId::random(), Duration::ZERO))
            .unwrap();
        let key = RecordKey::from(vec![1]);
        assert!(store.get(&key).is_none());
        assert!(store.providers(&key).is_empty());
        store.sweep(Instant::now());
        assert_eq!(store.records_held(), 0);
        assert!(store.providers.is_empty());
    }

    #[test]
    fn oversized_values_are_refused() {
        let mut store = store(PeerId::random());
        let mut large = record(1, MINUTE);
        large.value = vec![0; 5];
        assert!(matches!(store.put(large), Err(Error::ValueTooLarge)));
        let long_key = Record::new(vec![0; KEY_BYTES_MAX + 1], vec![]);
        assert!(store.put(long_key).is_err());
    }

    #[test]
    fn a_flood_of_providers_displaces_nobody() {
        let mut store = store(PeerId::random());
        let first = PeerId::random();
        store.add_provider(provider(1, first, MINUTE)).unwrap();
        for _ in 0..99 {
            store
                .add_provider(provider(1, PeerId::random(), MINUTE))
                .unwrap();
        }
        let providers = store.providers(&RecordKey::from(vec![1]));
        assert_eq!(providers.len(), K_VALUE.get());
        assert!(providers.iter().any(|record| record.provider == first));
    }
}
