//! Blocks that came before they were decided.
//!
//! - A block is *wanted* once a verified proposal or certificate names it.
//! - What nobody named yet is kept for a while, bounded in number and bytes,
//!   the oldest going first: anybody may send such a block.

use aether_mesh::{Block, BlockId, Slot};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Unnamed blocks kept: a few heights' worth for a few proposers.
const UNNAMED_MAX: usize = 32;

/// Bytes of unnamed blocks kept.
const UNNAMED_BYTES_MAX: usize = 32 << 20;

#[derive(Debug)]
struct Held {
    block: Arc<Block>,
    bytes: usize,
    order: u64,
    wanted: bool,
}

/// The blocks in hand.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    held: BTreeMap<BlockId, Held>,
    next_order: u64,
}

impl Blocks {
    /// The block, if it is here.
    pub(super) fn get(&self, id: &BlockId) -> Option<&Arc<Block>> {
        self.held.get(id).map(|held| &held.block)
    }

    /// Whether it is here and somebody entitled named it.
    pub(super) fn is_wanted(&self, id: &BlockId) -> bool {
        self.held.get(id).is_some_and(|held| held.wanted)
    }

    /// Keeps a block; returns the unnamed ones that had to go for it.
    pub(super) fn insert(&mut self, id: BlockId, block: Arc<Block>, wanted: bool) -> Vec<BlockId> {
        let bytes = block.encode().len();
        let order = self.next_order;
        self.next_order += 1;
        self.held.insert(
            id,
            Held {
                block,
                bytes,
                order,
                wanted,
            },
        );
        self.evict()
    }

    /// Somebody entitled named it: it stays until its height is past.
    pub(super) fn want(&mut self, id: &BlockId) {
        if let Some(held) = self.held.get_mut(id) {
            held.wanted = true;
        }
    }

    /// No longer needed.
    pub(super) fn remove(&mut self, id: &BlockId) {
        self.held.remove(id);
    }

    /// Drops everything at or below a height; returns the unnamed among it.
    pub(super) fn forget_through(&mut self, height: Slot) -> Vec<BlockId> {
        let mut unnamed = Vec::new();
        self.held.retain(|id, held| {
            let keep = held.block.header.height > height;
            if !keep && !held.wanted {
                unnamed.push(*id);
            }
            keep
        });
        unnamed
    }

    fn evict(&mut self) -> Vec<BlockId> {
        let mut evicted = Vec::new();
        loop {
            let unnamed = || self.held.iter().filter(|(_, held)| !held.wanted);
            let bytes: usize = unnamed().map(|(_, held)| held.bytes).sum();
            if unnamed().count() <= UNNAMED_MAX && bytes <= UNNAMED_BYTES_MAX {
                return evicted;
            }
            let Some(oldest) = unnamed().min_by_key(|(_, h)| h.order).map(|(id, _)| *id) else {
                return evicted;
            };
            self.held.remove(&oldest);
            evicted.push(oldest);
        }
    }
}
