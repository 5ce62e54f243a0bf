//! Stores to test and blocks to fill them with.

use aether_mesh::{Account, Block, BlockId, Certificate, ChainId, Header, SignedTx, Slot, Writes};
use aether_storage::{ChainStore, DataDir, Head, PendingRoot, RETAINED_HEIGHTS, StoreOptions};
use tempfile::TempDir;

pub(crate) const CHAIN: ChainId = ChainId([7; 32]);
pub(crate) const OTHER_CHAIN: ChainId = ChainId([8; 32]);

/// A store that can be closed and opened again.
pub(crate) struct Bench {
    pub(crate) name: &'static str,
    store: Option<ChainStore>,
    dir: Option<TempDir>,
    retained: u64,
}

impl Bench {
    pub(crate) fn memory(retained: u64) -> Self {
        let store = Some(ChainStore::in_memory_retaining(retained));
        Self {
            name: "memory",
            store,
            dir: None,
            retained,
        }
    }

    pub(crate) fn disk(retained: u64) -> Self {
        let dir = TempDir::new().unwrap();
        let mut bench = Self {
            name: "disk",
            store: None,
            dir: Some(dir),
            retained,
        };
        bench.reopen();
        bench
    }

    pub(crate) fn store(&mut self) -> &mut ChainStore {
        self.store.as_mut().unwrap()
    }

    /// Closes and opens the files again; memory stays as it is.
    pub(crate) fn reopen(&mut self) {
        if let Some(dir) = &self.dir {
            drop(self.store.take());
            self.store = Some(open(dir.path(), self.retained));
        }
    }
}

pub(crate) fn open(path: &std::path::Path, retained: u64) -> ChainStore {
    let options = StoreOptions {
        cache_bytes: 8 << 20,
        retained_heights: retained,
        check_integrity: false,
    };
    ChainStore::open(&DataDir::open(path).unwrap(), &options).unwrap()
}

/// Runs a story over both kinds of store, each holding the small genesis.
pub(crate) fn each_store(story: impl Fn(&mut Bench)) {
    each_store_retaining(RETAINED_HEIGHTS, story);
}

pub(crate) fn each_store_retaining(retained: u64, story: impl Fn(&mut Bench)) {
    for mut bench in [Bench::memory(retained), Bench::disk(retained)] {
        println!("over {}", bench.name);
        bench.store().init(CHAIN, 1_000, &genesis()).unwrap();
        story(&mut bench);
    }
}

/// Ten records.
pub(crate) fn genesis() -> Writes {
    (0..10u8)
        .map(|i| (vec![b'g', i], Some(vec![i; 40])))
        .collect()
}

pub(crate) fn writes(list: &[(&str, Option<&str>)]) -> Writes {
    list.iter()
        .map(|(k, v)| (k.as_bytes().to_vec(), v.map(|v| v.as_bytes().to_vec())))
        .collect()
}

/// A block on `head` that names `state_root`, with a certificate. Signatures
/// are made up: the store checks none.
pub(crate) fn block_on(head: &Head, state_root: [u8; 32]) -> (Block, Certificate) {
    let height = head.height.after(1);
    let parent_certificate = (height.0 > 1).then(|| certificate(head.height, head.block_id, 0));
    let txs = vec![SignedTx {
        body: height.0.to_be_bytes().to_vec(),
        signer: Account([1; 32]),
        signature: [2; 64],
    }];
    let header = Header {
        chain_id: CHAIN,
        height,
        time_ms: head.time_ms + 1_000,
        parent_id: head.block_id,
        parent_certificate_hash: parent_certificate
            .as_ref()
            .map_or([0; 32], Certificate::hash),
        txs_root: Block::txs_root(&txs),
        state_root,
        validators_hash: [3; 32],
        next_validators_hash: [3; 32],
        proposer: Account([4; 32]),
    };
    let block = Block {
        header,
        parent_certificate,
        txs,
    };
    let certificate = certificate(height, block.id(), 0);
    (block, certificate)
}

pub(crate) fn certificate(height: Slot, block_id: BlockId, round: u32) -> Certificate {
    Certificate {
        height,
        round,
        block_id,
        signers: vec![0b111],
        signature: [5; 96],
    }
}

/// Computes the root, makes the block, commits it.
pub(crate) fn commit(store: &mut ChainStore, writes: &Writes) -> Head {
    commit_on(store, writes).unwrap()
}

pub(crate) fn commit_on(
    store: &mut ChainStore,
    writes: &Writes,
) -> Result<Head, aether_storage::StoreError> {
    let pending = store.root_after(writes)?;
    let (block, certificate) = parts(store, &pending);
    store.commit(&block, &certificate, pending, b"events")
}

pub(crate) fn parts(store: &ChainStore, pending: &PendingRoot) -> (Block, Certificate) {
    block_on(&store.head().unwrap().unwrap(), pending.root())
}
