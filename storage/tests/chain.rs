//! Commits, refusals, proofs.

use crate::common::*;
use aether_mesh::{BlockId, Slot, StateReader, Writes, verify_inclusion};
use aether_storage::{Head, StoreError};

#[test]
fn what_was_committed_is_there_after_reopening() {
    each_store(|bench| {
        let genesis = bench.store().head().unwrap().unwrap();
        assert_eq!(
            (genesis.height, genesis.block_id),
            (Slot(0), BlockId(CHAIN.0))
        );
        assert_eq!(bench.store().lowest_height().unwrap(), None);

        let one = commit(
            bench.store(),
            &writes(&[("a", Some("1")), ("b", Some("2"))]),
        );
        let two = commit(bench.store(), &writes(&[("a", None), ("c", Some("3"))]));
        bench.reopen();

        let store = bench.store();
        assert_eq!(store.head().unwrap(), Some(two));
        assert_eq!(store.chain().unwrap(), Some(CHAIN));
        assert_eq!(store.lowest_height().unwrap(), Some(Slot(1)));
        let view = store.reader().unwrap();
        assert_eq!(view.head(), two);
        assert_eq!(view.get(b"a").unwrap(), None);
        assert_eq!(view.get(b"c").unwrap(), Some(b"3".to_vec()));
        let (block, certificate) = store.block(Slot(1)).unwrap().unwrap();
        assert_eq!(
            (block.id(), block.header.state_root),
            (one.block_id, one.state_root)
        );
        assert_eq!(certificate.block_id, one.block_id);
        assert_eq!(
            store.block_by_id(&two.block_id).unwrap().unwrap().0.id(),
            two.block_id
        );
        assert_eq!(store.block_by_id(&BlockId([9; 32])).unwrap(), None);
        assert_eq!(store.block(Slot(0)).unwrap(), None);
        assert_eq!(store.block(Slot(3)).unwrap(), None);
        assert_eq!(
            store.block_bytes(Slot(1)).unwrap().unwrap().block,
            block.encode()
        );
        assert_eq!(store.events(Slot(2)).unwrap(), Some(b"events".to_vec()));
        let report = store.audit().unwrap();
        assert_eq!((report.head, report.records, report.blocks), (two, 12, 2));
    });
}

#[test]
fn scans_are_in_order_within_the_prefix_and_the_limit() {
    each_store(|bench| {
        commit(
            bench.store(),
            &writes(&[("h1", Some("x")), ("g", Some("y")), ("f9", Some("z"))]),
        );
        let view = bench.store().reader().unwrap();
        let keys = |prefix: &[u8], from: &[u8], limit| -> Vec<Vec<u8>> {
            view.scan(prefix, from, limit)
                .unwrap()
                .into_iter()
                .map(|(k, _)| k)
                .collect()
        };
        assert_eq!(keys(b"g", b"", 3), [&b"g"[..], b"g\0", b"g\x01"]);
        assert_eq!(keys(b"g", b"g\x08", 10), [b"g\x08", b"g\x09"]);
        assert_eq!(keys(b"g", b"h", 10).len(), 0);
        assert_eq!(keys(b"g", b"a", 0).len(), 0);
        assert_eq!(keys(b"", b"", 100).len(), 13);
    });
}

#[test]
fn computing_a_root_writes_nothing() {
    each_store(|bench| {
        let head = bench.store().head().unwrap();
        let before = bench.store().audit().unwrap();
        let some = writes(&[("a", Some("1")), ("g\x01", None)]);
        let first = bench.store().root_after(&some).unwrap();
        bench.reopen();
        let store = bench.store();
        assert_eq!(store.head().unwrap(), head);
        assert_eq!(store.audit().unwrap(), before);
        assert_eq!(store.root_after(&some).unwrap().root(), first.root());
        // And the root it named is the one that comes about.
        let root = first.root();
        let (block, certificate) = parts(store, &first);
        assert_eq!(
            store
                .commit(&block, &certificate, first, b"")
                .unwrap()
                .state_root,
            root
        );
        assert_ne!(Some(root), head.map(|h| h.state_root));
        assert_eq!(store.events(Slot(1)).unwrap(), None);
    });
}

#[test]
fn a_block_that_does_not_follow_the_head_is_refused() {
    each_store(|bench| {
        let store = bench.store();
        let genesis = store.head().unwrap().unwrap();
        let one = commit(store, &writes(&[("a", Some("1"))]));
        let other = BlockId([0xee; 32]);
        for (case, parent) in [
            ("the same height again", genesis),
            (
                "a height left out",
                Head {
                    height: Slot(2),
                    ..one
                },
            ),
            (
                "another parent",
                Head {
                    block_id: other,
                    ..one
                },
            ),
            (
                "the last height of all",
                Head {
                    height: Slot(u64::MAX),
                    ..one
                },
            ),
        ] {
            let pending = store.root_after(&writes(&[("b", Some("2"))])).unwrap();
            let (block, certificate) = block_on(&parent, pending.root());
            let refused = store
                .commit(&block, &certificate, pending, b"")
                .unwrap_err();
            assert!(
                matches!(refused, StoreError::OutOfOrder { .. }),
                "{case}: {refused}"
            );
            assert_eq!(store.head().unwrap(), Some(one), "{case}");
        }
        store.audit().unwrap();
    });
}

#[test]
fn parts_of_different_blocks_are_no_commit() {
    each_store(|bench| {
        let store = bench.store();
        let stale = store.root_after(&writes(&[("a", Some("1"))])).unwrap();
        let one = commit(store, &writes(&[("a", Some("1"))]));
        let pending = store.root_after(&writes(&[("b", Some("2"))])).unwrap();
        let (good, good_certificate) = block_on(&one, pending.root());

        let (wrong_root, its_certificate) = block_on(&one, [1; 32]);
        let mut foreign = good.clone();
        foreign.header.chain_id = OTHER_CHAIN;
        let foreign_certificate = certificate(Slot(2), foreign.id(), 0);
        let (on_stale, on_stale_certificate) = block_on(&one, stale.root());
        for (case, block, certificate, pending) in [
            (
                "another state root",
                &wrong_root,
                &its_certificate,
                pending.clone(),
            ),
            (
                "another block's certificate",
                &good,
                &its_certificate,
                pending.clone(),
            ),
            (
                "another chain",
                &foreign,
                &foreign_certificate,
                pending.clone(),
            ),
            (
                "a state on another parent",
                &on_stale,
                &on_stale_certificate,
                stale,
            ),
        ] {
            let refused = store.commit(block, certificate, pending, b"").unwrap_err();
            assert!(
                matches!(
                    refused,
                    StoreError::Mismatch(_) | StoreError::OtherChain { .. }
                ),
                "{case}: {refused}"
            );
            assert_eq!(store.head().unwrap(), Some(one), "{case}");
        }
        store
            .commit(&good, &good_certificate, pending, b"")
            .unwrap();
    });
}

#[test]
fn there_is_one_genesis() {
    each_store(|bench| {
        let head = commit(bench.store(), &Writes::new());
        bench.reopen();
        let store = bench.store();
        assert!(matches!(
            store.init(CHAIN, 1_000, &genesis()),
            Err(StoreError::AlreadyInitialised)
        ));
        assert_eq!(store.init_or_check(CHAIN, 1_000, &genesis()).unwrap(), head);
        for refused in [
            store.init(OTHER_CHAIN, 1_000, &genesis()).unwrap_err(),
            store
                .init_or_check(OTHER_CHAIN, 1_000, &genesis())
                .unwrap_err(),
        ] {
            assert!(
                matches!(refused, StoreError::OtherChain { found: CHAIN, .. }),
                "{refused}"
            );
        }
    });
    for mut bench in [Bench::memory(10), Bench::disk(10)] {
        let store = bench.store();
        assert_eq!(store.head().unwrap(), None);
        assert!(matches!(store.reader(), Err(StoreError::NotInitialised)));
        assert!(matches!(
            store.root_after(&Writes::new()),
            Err(StoreError::NotInitialised)
        ));
        assert!(matches!(
            store.prove(b"a", Slot(0)),
            Err(StoreError::NotInitialised)
        ));
        assert!(matches!(store.audit(), Err(StoreError::NotInitialised)));
        let made = store.init_or_check(CHAIN, 5, &genesis()).unwrap();
        assert_eq!(store.head().unwrap(), Some(made));
    }
}

#[test]
fn a_proof_holds_for_its_record_and_height_alone() {
    each_store(|bench| {
        let store = bench.store();
        let one = commit(store, &writes(&[("a", Some("1")), ("b", Some("2"))]));
        let two = commit(store, &writes(&[("a", Some("9"))]));
        let three = commit(store, &writes(&[("a", None), ("late", Some("x"))]));

        let then = store.prove(b"a", one.height).unwrap().unwrap();
        assert_eq!(
            (then.value.as_slice(), then.state_root),
            (&b"1"[..], one.state_root)
        );
        verify_inclusion(&one.state_root, b"a", b"1", &then.proof).unwrap();
        let now = store.prove(b"a", two.height).unwrap().unwrap();
        verify_inclusion(&two.state_root, b"a", b"9", &now.proof).unwrap();
        for (case, root, key, value) in [
            (
                "another height's root",
                &two.state_root,
                &b"a"[..],
                &b"1"[..],
            ),
            ("another value", &one.state_root, b"a", b"9"),
            ("another key", &one.state_root, b"b", b"1"),
        ] {
            assert!(
                verify_inclusion(root, key, value, &then.proof).is_err(),
                "{case}"
            );
        }
        assert_eq!(store.prove(b"a", three.height).unwrap(), None);
        assert_eq!(store.prove(b"late", two.height).unwrap(), None);
        assert_eq!(store.prove(b"never", three.height).unwrap(), None);
        // The genesis can be proved against as well.
        let first = store.prove(b"g\x03", Slot(0)).unwrap().unwrap();
        assert_eq!(first.value, [3; 40]);
        assert!(matches!(
            store.prove(b"a", Slot(4)),
            Err(StoreError::NotRetained {
                from: Slot(0),
                to: Slot(3),
                ..
            })
        ));
    });
}

#[test]
fn old_heights_are_provable_while_retained_and_leave_nothing_behind() {
    const RETAINED: u64 = 5;
    each_store_retaining(RETAINED, |bench| {
        let mut roots = vec![bench.store().head().unwrap().unwrap().state_root];
        let mut sizes = Vec::new();
        for i in 0..60u32 {
            // Every third block is empty: its old root must go as well.
            let some = if i % 3 == 2 {
                Writes::new()
            } else {
                [(b"hot".to_vec(), Some(i.to_be_bytes().to_vec()))].into()
            };
            roots.push(commit(bench.store(), &some).state_root);
            if i > 30 {
                let report = bench.store().audit().unwrap();
                sizes.push((report.tree_nodes, report.old_values));
            }
        }
        bench.reopen();
        let store = bench.store();
        let from = store.provable_from().unwrap();
        assert!(
            from.0 + RETAINED - 1 <= 60 && from.0 + RETAINED + 1 >= 60,
            "{from}"
        );
        for height in from.0.max(1)..=60 {
            let wrote = (0..height as u32).rev().find(|i| i % 3 != 2).unwrap();
            let proven = store.prove(b"hot", Slot(height)).unwrap().unwrap();
            assert_eq!(proven.value, wrote.to_be_bytes());
            assert_eq!(proven.state_root, roots[height as usize]);
        }
        let gone = store.prove(b"hot", Slot(from.0 - 1)).unwrap_err();
        assert!(matches!(gone, StoreError::NotRetained { .. }), "{gone}");
        // The same three kinds of block over and over: no growth.
        let (early, late) = (
            sizes[..3].iter().max(),
            sizes[sizes.len() - 3..].iter().max(),
        );
        assert_eq!(early, late);
    });
}

#[test]
fn a_shortened_retention_catches_up_and_a_longer_one_claims_nothing_lost() {
    let dir = tempfile::TempDir::new().unwrap();
    let mut store = open(dir.path(), 100);
    store.init(CHAIN, 0, &genesis()).unwrap();
    let turn = |store: &mut aether_storage::ChainStore, n: u32| {
        for i in 0..n {
            let value = (store.head().unwrap().unwrap().height.0 + u64::from(i)).to_be_bytes();
            commit(store, &[(b"hot".to_vec(), Some(value.to_vec()))].into());
        }
    };
    turn(&mut store, 20);
    assert_eq!(store.provable_from().unwrap(), Slot(0));
    drop(store);
    let mut store = open(dir.path(), 3);
    turn(&mut store, 20);
    let from = store.provable_from().unwrap();
    assert!(from >= Slot(36), "{from}");
    drop(store);
    let mut store = open(dir.path(), 100);
    turn(&mut store, 5);
    assert_eq!(store.provable_from().unwrap(), from);
    assert!(store.prove(b"hot", Slot(from.0)).unwrap().is_some());
    assert!(matches!(
        store.prove(b"hot", Slot(from.0 - 1)),
        Err(StoreError::NotRetained { .. })
    ));
}

#[test]
fn an_empty_block_keeps_the_root_and_so_does_writing_what_is_there() {
    each_store(|bench| {
        let store = bench.store();
        let genesis_root = store.head().unwrap().unwrap().state_root;
        for same in [Writes::new(), genesis(), writes(&[("never", None)])] {
            assert_eq!(commit(store, &same).state_root, genesis_root);
        }
        store.audit().unwrap();
    });
}

#[test]
fn a_state_can_become_empty_and_fill_again() {
    each_store(|bench| {
        let genesis_root = bench.store().head().unwrap().unwrap().state_root;
        let none: Writes = genesis().into_keys().map(|key| (key, None)).collect();
        let empty = commit(bench.store(), &none);
        assert_eq!(bench.store().audit().unwrap().records, 0);
        assert_eq!(
            commit(bench.store(), &Writes::new()).state_root,
            empty.state_root
        );
        bench.reopen();
        assert_eq!(commit(bench.store(), &genesis()).state_root, genesis_root);
        bench.store().audit().unwrap();
    });
    // An empty genesis is a state as well.
    let mut bench = Bench::disk(10);
    let head = bench.store().init(CHAIN, 0, &Writes::new()).unwrap();
    assert_eq!(bench.store().audit().unwrap().records, 0);
    assert_ne!(
        commit(bench.store(), &genesis()).state_root,
        head.state_root
    );
    bench.store().audit().unwrap();
}

#[test]
fn a_record_may_be_a_mebibyte() {
    each_store(|bench| {
        let big = vec![0xa5; 1 << 20];
        let head = commit(
            bench.store(),
            &[(b"big".to_vec(), Some(big.clone()))].into(),
        );
        commit(bench.store(), &writes(&[("big", Some("small"))]));
        bench.reopen();
        let then = bench.store().prove(b"big", head.height).unwrap().unwrap();
        assert_eq!(then.value, big);
        bench.store().audit().unwrap();
    });
}

#[test]
fn a_certificate_is_replaced_only_by_one_for_the_same_block() {
    each_store(|bench| {
        let store = bench.store();
        let one = commit(store, &Writes::new());
        let better = certificate(one.height, one.block_id, 3);
        store.upgrade_certificate(&better).unwrap();
        assert_eq!(store.block(one.height).unwrap().unwrap().1, better);
        for wrong in [
            certificate(one.height, BlockId([1; 32]), 3),
            certificate(Slot(2), one.block_id, 3),
            certificate(Slot(0), BlockId(CHAIN.0), 3),
        ] {
            let refused = store.upgrade_certificate(&wrong).unwrap_err();
            assert!(matches!(refused, StoreError::Mismatch(_)), "{refused}");
        }
        store.audit().unwrap();
    });
}

#[test]
fn a_view_stays_what_it_was_while_blocks_are_committed() {
    each_store(|bench| {
        let store = bench.store();
        commit(store, &writes(&[("a", Some("1"))]));
        let view = store.reader().unwrap();
        let reads = store.reads();
        let head = std::thread::spawn(move || reads.head().unwrap().unwrap())
            .join()
            .unwrap();
        assert_eq!(head, view.head());
        commit(store, &writes(&[("a", Some("2")), ("b", Some("2"))]));
        assert_eq!(view.get(b"a").unwrap(), Some(b"1".to_vec()));
        assert_eq!(view.scan(b"b", b"", 10).unwrap(), []);
        assert_eq!(view.head().height, Slot(1));
        assert_eq!(
            store.reader().unwrap().get(b"a").unwrap(),
            Some(b"2".to_vec())
        );
    });
}
