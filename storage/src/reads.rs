//! The half of a chain that only reads.
//!
//! - [`ChainReads`] may be cloned and used from other threads while blocks are
//!   committed. Each call sees one committed block, and a [`StateView`] keeps
//!   seeing the one it was made on.
//! - [`PendingRoot`] is the state after a block that is not committed. It is
//!   worked out here, because that writes nothing; only
//!   [`ChainStore::commit`](crate::ChainStore::commit) can make it true.

use crate::audit::{self, AuditReport};
use crate::backend::{Backend, Change, Snapshot};
use crate::error::StoreError;
use crate::layout::{Table, height_key, meta, parse_u64};
use crate::tree;
use aether_mesh::{
    Block, BlockId, Certificate, ChainId, Entry, Slot, StateError, StateReader, Writes, pb,
};
use borsh::{BorshDeserialize, BorshSerialize};
use prost::Message;
use std::sync::Arc;

/// The last committed block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Head {
    /// Its height; 0 is the genesis.
    pub height: Slot,
    /// Its id; the genesis has the chain's.
    pub block_id: BlockId,
    /// Root of the state after it.
    pub state_root: [u8; 32],
    /// Its header's time, Unix milliseconds.
    pub time_ms: u64,
}

/// The state after a block that is not committed: its root, and what to write.
///
/// It holds the block's writes and the records they replace, so its size is
/// the block's.
#[derive(Clone, Debug)]
pub struct PendingRoot {
    pub(crate) parent: BlockId,
    pub(crate) root: [u8; 32],
    pub(crate) changes: Vec<Change>,
}

impl PendingRoot {
    /// What the block's header names as `state_root`.
    pub fn root(&self) -> [u8; 32] {
        self.root
    }

    /// The head it was computed on.
    pub fn parent(&self) -> BlockId {
        self.parent
    }
}

/// A record as it was at a height, with the proof that it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// The record's bytes.
    pub value: Vec<u8>,
    /// For [`aether_mesh::verify_inclusion`].
    pub proof: Vec<u8>,
    /// The root it leads to: the header's `state_root` at that height.
    pub state_root: [u8; 32],
}

/// A block and a certificate for it, as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBytes {
    /// The block's wire bytes.
    pub block: Vec<u8>,
    /// The certificate's wire bytes.
    pub certificate: Vec<u8>,
}

/// The state as of one committed block.
///
/// Drop it before committing when it can be helped: on disk it keeps old pages
/// from being reused, in memory it makes the commit copy the state.
pub struct StateView {
    head: Head,
    snapshot: Box<dyn Snapshot>,
}

impl StateView {
    /// The block whose state this is.
    pub fn head(&self) -> Head {
        self.head
    }
}

impl StateReader for StateView {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.snapshot.get(Table::State, key)?)
    }

    fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Entry>, StateError> {
        let mut found = Vec::new();
        if limit > 0 {
            self.snapshot
                .scan(Table::State, from.max(prefix), &mut |key, value| {
                    let wanted = key.starts_with(prefix);
                    if wanted {
                        found.push((key.to_vec(), value.to_vec()));
                    }
                    wanted && found.len() < limit
                })?;
        }
        Ok(found)
    }
}

/// The reading half of a chain.
#[derive(Clone)]
pub struct ChainReads {
    pub(crate) backend: Arc<dyn Backend>,
}

impl ChainReads {
    pub(crate) fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        self.backend.snapshot()
    }

    /// The last committed block; `None` before the genesis is written.
    pub fn head(&self) -> Result<Option<Head>, StoreError> {
        load_head(&*self.snapshot()?)
    }

    /// The chain that is stored; `None` before the genesis is written.
    pub fn chain(&self) -> Result<Option<ChainId>, StoreError> {
        load_chain(&*self.snapshot()?)
    }

    /// The state as of the head, whatever is committed meanwhile.
    pub fn reader(&self) -> Result<StateView, StoreError> {
        let snapshot = self.snapshot()?;
        let head = load_head(&*snapshot)?.ok_or(StoreError::NotInitialised)?;
        Ok(StateView { head, snapshot })
    }

    /// The root the state would have after `writes` on the head. Writes
    /// nothing.
    pub fn root_after(&self, writes: &Writes) -> Result<PendingRoot, StoreError> {
        let view = self.reader()?;
        let (root, changes) = tree::plan(&*view.snapshot, Some(&view.head), writes)?;
        Ok(PendingRoot {
            parent: view.head.block_id,
            root,
            changes,
        })
    }

    /// The block of a height with a certificate for it; `None` when it is not
    /// stored. The genesis is no block.
    pub fn block(&self, height: Slot) -> Result<Option<(Block, Certificate)>, StoreError> {
        load_block(&*self.snapshot()?, height)
    }

    /// The block of an id.
    pub fn block_by_id(&self, id: &BlockId) -> Result<Option<(Block, Certificate)>, StoreError> {
        let snapshot = self.snapshot()?;
        match snapshot.get(Table::BlockIds, id.as_bytes())? {
            Some(height) => {
                let height = parse_u64(&height)
                    .ok_or_else(|| StoreError::corrupted("a block's height is malformed"))?;
                load_block(&*snapshot, Slot(height))
            }
            None => Ok(None),
        }
    }

    /// The wire bytes of a block and of its certificate, undecoded: for
    /// handing them on.
    pub fn block_bytes(&self, height: Slot) -> Result<Option<StoredBytes>, StoreError> {
        load_block_bytes(&*self.snapshot()?, height)
    }

    /// What was kept beside the block of a height; `None` when nothing was.
    pub fn events(&self, height: Slot) -> Result<Option<Vec<u8>>, StoreError> {
        self.snapshot()?.get(Table::Events, &height_key(height))
    }

    /// The lowest block that is stored; `None` when there is none yet.
    pub fn lowest_height(&self) -> Result<Option<Slot>, StoreError> {
        load_lowest(&*self.snapshot()?)
    }

    /// The lowest height [`ChainReads::prove`] can answer for.
    pub fn provable_from(&self) -> Result<Slot, StoreError> {
        load_provable_from(&*self.snapshot()?)
    }

    /// The record under `key` after the block of `height`, with a proof
    /// against that block's `state_root`; `None` when there was none.
    ///
    /// [`StoreError::NotRetained`] below [`ChainReads::provable_from`] and
    /// above the head.
    pub fn prove(&self, key: &[u8], height: Slot) -> Result<Option<Proven>, StoreError> {
        let snapshot = self.snapshot()?;
        let head = load_head(&*snapshot)?.ok_or(StoreError::NotInitialised)?;
        let from = load_provable_from(&*snapshot)?;
        if height < from || height > head.height {
            return Err(StoreError::NotRetained {
                height,
                from,
                to: head.height,
            });
        }
        tree::prove(&*snapshot, key, height)
    }

    /// Checks everything against everything: recomputes the root from all
    /// records without the tree, walks the tree, and follows the blocks from
    /// the lowest to the head. Reads all that is stored.
    pub fn audit(&self) -> Result<AuditReport, StoreError> {
        audit::audit(&*self.snapshot()?)
    }
}

pub(crate) fn load_head(snapshot: &dyn Snapshot) -> Result<Option<Head>, StoreError> {
    let Some(bytes) = snapshot.get(Table::Meta, meta::HEAD)? else {
        return Ok(None);
    };
    Head::try_from_slice(&bytes)
        .map(Some)
        .map_err(|e| StoreError::corrupted(format!("the head does not decode: {e}")))
}

pub(crate) fn load_chain(snapshot: &dyn Snapshot) -> Result<Option<ChainId>, StoreError> {
    let Some(bytes) = snapshot.get(Table::Meta, meta::CHAIN)? else {
        return Ok(None);
    };
    ChainId::from_slice(&bytes)
        .map(Some)
        .ok_or_else(|| StoreError::corrupted("the chain's id is malformed"))
}

pub(crate) fn load_lowest(snapshot: &dyn Snapshot) -> Result<Option<Slot>, StoreError> {
    let mut lowest = None;
    snapshot.scan(Table::Blocks, &[], &mut |key, _| {
        lowest = Some(parse_u64(key));
        false
    })?;
    match lowest {
        Some(None) => Err(StoreError::corrupted("a block's key is malformed")),
        Some(Some(height)) => Ok(Some(Slot(height))),
        None => Ok(None),
    }
}

fn load_provable_from(snapshot: &dyn Snapshot) -> Result<Slot, StoreError> {
    match snapshot.get(Table::Meta, meta::PROVABLE_FROM)? {
        Some(bytes) => parse_u64(&bytes)
            .map(Slot)
            .ok_or_else(|| StoreError::corrupted("the lowest provable height is malformed")),
        None => Ok(Slot(0)),
    }
}

fn load_block_bytes(
    snapshot: &dyn Snapshot,
    height: Slot,
) -> Result<Option<StoredBytes>, StoreError> {
    let key = height_key(height);
    match (
        snapshot.get(Table::Blocks, &key)?,
        snapshot.get(Table::Certificates, &key)?,
    ) {
        (Some(block), Some(certificate)) => Ok(Some(StoredBytes { block, certificate })),
        (None, None) => Ok(None),
        _ => Err(StoreError::corrupted(format!(
            "block {height} lacks its certificate"
        ))),
    }
}

pub(crate) fn load_block(
    snapshot: &dyn Snapshot,
    height: Slot,
) -> Result<Option<(Block, Certificate)>, StoreError> {
    let Some(StoredBytes { block, certificate }) = load_block_bytes(snapshot, height)? else {
        return Ok(None);
    };
    let damaged = |e: &dyn std::fmt::Display| {
        StoreError::corrupted(format!("block {height} does not decode: {e}"))
    };
    let block = Block::decode(&block, block.len()).map_err(|e| damaged(&e))?;
    let certificate = pb::Certificate::decode(&certificate[..]).map_err(|e| damaged(&e))?;
    let certificate = Certificate::from_pb(&certificate).map_err(|e| damaged(&e))?;
    Ok(Some((block, certificate)))
}
