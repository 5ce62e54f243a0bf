//! The half of a chain that writes.
//!
//! - A commit is one list of changes, applied as a whole. It is refused unless
//!   the block follows the head and all its parts are about the same block.
//! - What was computed on a parent can be committed on that parent alone, and
//!   only under a header that names its root.
//! - Each commit removes what the heights that are no longer provable needed,
//!   of at most two heights, so that no commit stands out.

use crate::backend::{Change, Snapshot};
use crate::data_dir::DataDir;
use crate::disk::{Disk, StoreOptions};
use crate::error::StoreError;
use crate::layout::{
    PRUNED_HEIGHTS_PER_COMMIT, RETAINED_HEIGHTS, Stale, Table, height_key, meta, parse_u64,
    value_key,
};
use crate::memory::Memory;
use crate::reads::{ChainReads, Head, PendingRoot, load_chain, load_head};
use crate::tree;
use aether_mesh::{Block, BlockId, Certificate, ChainId, Slot, Writes};
use borsh::BorshDeserialize;
use prost::Message;
use std::ops::Deref;
use std::sync::Arc;

/// A chain on disk or in memory. There is one a data directory.
pub struct ChainStore {
    reads: ChainReads,
    retained_heights: u64,
}

impl Deref for ChainStore {
    type Target = ChainReads;

    fn deref(&self) -> &ChainReads {
        &self.reads
    }
}

impl ChainStore {
    /// Opens the chain in a data directory, or makes the files of a new one.
    pub fn open(dir: &DataDir, options: &StoreOptions) -> Result<Self, StoreError> {
        let backend = Arc::new(Disk::open(dir, options)?);
        Ok(Self {
            reads: ChainReads { backend },
            retained_heights: options.retained_heights.max(1),
        })
    }

    /// A new chain in memory, gone with the last handle.
    pub fn in_memory() -> Self {
        Self::in_memory_retaining(RETAINED_HEIGHTS)
    }

    /// The same, with as many provable heights as given.
    pub fn in_memory_retaining(heights: u64) -> Self {
        let backend = Arc::new(Memory::default());
        Self {
            reads: ChainReads { backend },
            retained_heights: heights.max(1),
        }
    }

    /// A handle for those who only read.
    pub fn reads(&self) -> ChainReads {
        self.reads.clone()
    }

    /// Writes the genesis: its state becomes version 0, its hash the id of
    /// height 0.
    ///
    /// [`StoreError::OtherChain`] or [`StoreError::AlreadyInitialised`] when
    /// there is one.
    pub fn init(
        &mut self,
        chain: ChainId,
        time_ms: u64,
        genesis: &Writes,
    ) -> Result<Head, StoreError> {
        let snapshot = self.snapshot()?;
        match load_chain(&*snapshot)? {
            Some(found) if found != chain => {
                return Err(StoreError::OtherChain {
                    found,
                    wanted: chain,
                });
            }
            Some(_) => return Err(StoreError::AlreadyInitialised),
            None => {}
        }
        let (state_root, mut changes) = tree::plan(&*snapshot, None, genesis)?;
        drop(snapshot);
        let head = Head {
            height: Slot(0),
            block_id: BlockId(chain.0),
            state_root,
            time_ms,
        };
        changes.push(Change::put(Table::Meta, meta::CHAIN, chain.0));
        changes.push(put_head(&head)?);
        self.backend.apply(changes)?;
        Ok(head)
    }

    /// The head of the chain that is wanted: writes the genesis into a new
    /// store, and refuses another chain's.
    pub fn init_or_check(
        &mut self,
        chain: ChainId,
        time_ms: u64,
        genesis: &Writes,
    ) -> Result<Head, StoreError> {
        match (self.chain()?, self.head()?) {
            (Some(found), Some(head)) if found == chain => Ok(head),
            _ => self.init(chain, time_ms, genesis),
        }
    }

    /// Stores a decided block and makes it the head, durably, in one piece.
    /// `events` is kept beside it when not empty.
    ///
    /// The certificate's signature and the block's validity were checked by
    /// the caller. [`StoreError::OutOfOrder`] when the block does not follow
    /// the head, [`StoreError::Mismatch`] when the parts are not about one
    /// block. After an error nothing of it is stored.
    pub fn commit(
        &mut self,
        block: &Block,
        certificate: &Certificate,
        pending: PendingRoot,
        events: &[u8],
    ) -> Result<Head, StoreError> {
        let snapshot = self.snapshot()?;
        let head = load_head(&*snapshot)?.ok_or(StoreError::NotInitialised)?;
        let chain = load_chain(&*snapshot)?.ok_or(StoreError::NotInitialised)?;
        let header = &block.header;
        if header.chain_id != chain {
            return Err(StoreError::OtherChain {
                found: chain,
                wanted: header.chain_id,
            });
        }
        if header.height != head.height.after(1) || header.parent_id != head.block_id {
            return Err(StoreError::OutOfOrder {
                got_height: header.height,
                got_parent: header.parent_id,
                head_height: head.height,
                head: head.block_id,
            });
        }
        let block_id = block.id();
        if certificate.height != header.height || certificate.block_id != block_id {
            return Err(StoreError::Mismatch(
                "the certificate is about another block",
            ));
        }
        if pending.parent != head.block_id {
            return Err(StoreError::Mismatch(
                "the state was computed on another parent",
            ));
        }
        if pending.root != header.state_root {
            return Err(StoreError::Mismatch("the header names another state root"));
        }
        let new = Head {
            height: header.height,
            block_id,
            state_root: pending.root,
            time_ms: header.time_ms,
        };
        let key = height_key(new.height);
        let mut changes = pending.changes;
        changes.push(Change::put(Table::Blocks, key.clone(), block.encode()));
        changes.push(put_certificate(certificate));
        changes.push(Change::put(Table::BlockIds, block_id.0, key.clone()));
        if !events.is_empty() {
            changes.push(Change::put(Table::Events, key, events));
        }
        changes.push(put_head(&new)?);
        prune(&*snapshot, new.height, self.retained_heights, &mut changes)?;
        drop(snapshot);
        self.backend.apply(changes)?;
        Ok(new)
    }

    /// Puts another certificate in the place of a stored block's, such as the
    /// one the next block carries. Its signature was checked by the caller.
    pub fn upgrade_certificate(&mut self, certificate: &Certificate) -> Result<(), StoreError> {
        let height = self
            .snapshot()?
            .get(Table::BlockIds, certificate.block_id.as_bytes())?;
        if height.as_deref() != Some(&certificate.height.0.to_be_bytes()[..]) {
            return Err(StoreError::Mismatch(
                "the certificate is about no stored block",
            ));
        }
        self.backend.apply(vec![put_certificate(certificate)])
    }
}

fn put_head(head: &Head) -> Result<Change, StoreError> {
    let bytes = borsh::to_vec(head).map_err(StoreError::corrupted)?;
    Ok(Change::put(Table::Meta, meta::HEAD, bytes))
}

fn put_certificate(certificate: &Certificate) -> Change {
    let bytes = certificate.to_pb().encode_to_vec();
    Change::put(Table::Certificates, height_key(certificate.height), bytes)
}

/// Removes what only heights that are no longer retained needed.
fn prune(
    snapshot: &dyn Snapshot,
    head: Slot,
    retained: u64,
    changes: &mut Vec<Change>,
) -> Result<(), StoreError> {
    let keep_from = head.after(1).0.saturating_sub(retained);
    let mut due: Vec<(u64, Vec<u8>)> = Vec::new();
    snapshot.scan(Table::Stale, &[], &mut |key, value| match parse_u64(key) {
        Some(height) if height <= keep_from && due.len() < PRUNED_HEIGHTS_PER_COMMIT => {
            due.push((height, value.to_vec()));
            true
        }
        _ => false,
    })?;
    for (height, bytes) in &due {
        let stale = Stale::try_from_slice(bytes)
            .map_err(|e| StoreError::corrupted(format!("a list of stale nodes: {e}")))?;
        for node in stale.nodes {
            changes.push(Change::remove(Table::Nodes, node));
        }
        for place in stale.values {
            changes.push(Change::remove(Table::Values, value_key(&place, *height)));
        }
        changes.push(Change::remove(Table::Stale, height_key(Slot(*height))));
    }
    if let Some((height, _)) = due.last() {
        changes.push(Change::put(
            Table::Meta,
            meta::PROVABLE_FROM,
            height.to_be_bytes(),
        ));
    }
    Ok(())
}
