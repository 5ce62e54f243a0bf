//! Random histories against a plain map.

use crate::common::*;
use aether_mesh::{Slot, StateReader, Writes};
use proptest::prelude::*;
use std::collections::BTreeMap;

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// A block's writes: few keys, so that they meet often; a third removals.
fn block() -> impl Strategy<Value = Writes> {
    let value = prop_oneof![
        2 => prop::collection::vec(any::<u8>(), 0..20).prop_map(Some),
        1 => Just(None),
    ];
    prop::collection::btree_map(prop::collection::vec(0u8..6, 0..3), value, 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn memory_disk_and_a_plain_map_agree(history in prop::collection::vec(block(), 1..14)) {
        let mut benches = [Bench::memory(4), Bench::disk(4)];
        for bench in &mut benches {
            bench.store().init(CHAIN, 0, &Writes::new()).unwrap();
        }
        let mut map = Map::new();
        let mut past = vec![map.clone()];
        for writes in &history {
            let roots = benches.each_mut().map(|bench| commit(bench.store(), writes).state_root);
            prop_assert_eq!(roots[0], roots[1]);
            for (key, value) in writes {
                match value {
                    Some(value) => map.insert(key.clone(), value.clone()),
                    None => map.remove(key),
                };
            }
            past.push(map.clone());
        }
        for bench in &mut benches {
            bench.reopen();
            let store = bench.store();
            store.audit().unwrap();
            let found: Map = store.reader().unwrap().scan(b"", b"", 1_000).unwrap().into_iter().collect();
            prop_assert_eq!(&found, &map);
            // What remains is provable as it was, at every height that is kept.
            let from = store.provable_from().unwrap();
            prop_assert!(from.0 <= (past.len() as u64).saturating_sub(4));
            let keys: Vec<Vec<u8>> = past.iter().flat_map(|m| m.keys().cloned()).collect();
            for height in from.0..past.len() as u64 {
                for key in &keys {
                    let proven = store.prove(key, Slot(height)).unwrap();
                    prop_assert_eq!(
                        proven.map(|p| p.value),
                        past[height as usize].get(key).cloned()
                    );
                }
            }
        }
        // The root is a matter of the records and not of their history.
        let mut fresh = Bench::memory(4);
        let all: Writes = map.into_iter().map(|(k, v)| (k, Some(v))).collect();
        let genesis = fresh.store().init(CHAIN, 0, &all).unwrap();
        prop_assert_eq!(genesis.state_root, benches[0].store().head().unwrap().unwrap().state_root);
    }
}
