//! Blocks that were proposed and may be decided soon: for peers who missed
//! the gossip, and for followers who wait for the certificate.

use aether_mesh::{Block, BlockId, Slot};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// Proposals remembered: a few rounds of a height, and the next one.
const PROPOSALS_MAX: usize = 16;

/// The last few proposals.
#[derive(Clone, Default)]
pub(super) struct Proposals(Arc<Mutex<Recent>>);

/// The newest first.
type Recent = VecDeque<(BlockId, Arc<Block>)>;

impl Proposals {
    pub(super) fn insert(&self, block: Arc<Block>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let id = block.id();
        if known.iter().all(|(k, _)| *k != id) {
            known.push_front((id, block));
            known.truncate(PROPOSALS_MAX);
        }
    }

    pub(super) fn get(&self, id: &BlockId) -> Option<Arc<Block>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .iter()
            .find(|(k, _)| k == id)
            .map(|(_, block)| block.clone())
    }

    pub(super) fn forget_up_to(&self, height: Slot) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(_, block)| block.header.height > height);
    }
}
