//! Blocks: proposed ones, wanted ones, synced ones.
//!
//! - A verified proposal names a block. If the block is not here soon, it is
//!   asked for, first of its proposer, every second until its height is past.
//! - A block at our height must follow the head and name the set that votes; a
//!   block of the next height proves by its parent certificate that ours is
//!   decided. One that contradicts itself or these is *rejected*; one that
//!   nobody entitled named yet is kept, and gossip waits for the verdict.
//! - A named block is judged until the judgement is final. The block is in the
//!   log before the judgement reaches the core.
//! - A synced block is committed if its own certificate verifies: nobody's
//!   clock is asked.

use super::context::{CoreProposal, Ctx, Height, Value};
use super::engine::{Engine, Phase};
use super::heights::Want;
use super::inbound::ASK_AGAIN;
use super::io::{Judgement, Output, Verdict};
use super::record;
use super::timers::Timer;
use aether_mesh::{Block, BlockId, Certificate};
use arc_malachitebft_core_consensus::{Input as CoreInput, ProposedValue};
use arc_malachitebft_core_types::{Validity, ValueOrigin};
use std::sync::Arc;

/// Blocks of one height that proposals name: two a round for many rounds.
const WANTS_MAX: usize = 64;

impl Engine {
    /// Takes note of the block that a verified proposal names; true if it is
    /// news.
    pub(super) fn register(&mut self, proposal: &CoreProposal) -> bool {
        let id = proposal.value.0;
        if self.phase != Phase::Running || self.wants.contains_key(&id) {
            return false;
        }
        if self.wants.len() >= WANTS_MAX {
            self.drop_oldest_want();
        }
        self.wants.insert(
            id,
            Want {
                round: proposal.round,
                pol_round: proposal.pol_round,
                proposer: proposal.proposer,
                judged: false,
            },
        );
        true
    }

    /// Of the blocks proposed, the earliest goes, unless the core may still
    /// come back to it.
    fn drop_oldest_want(&mut self) {
        let valid = self.state.driver.valid_value().map(|v| v.value.0);
        let oldest = self.wants.iter().filter(|(id, _)| Some(**id) != valid);
        if let Some(id) = oldest.min_by_key(|(_, want)| want.round).map(|(id, _)| *id) {
            self.wants.remove(&id);
            self.blocks.remove(&id);
        }
    }

    /// Judges a named block if it is here, and otherwise waits for it.
    pub(super) fn seek(&mut self, id: BlockId) {
        if self.blocks.get(&id).is_some() {
            if !self.blocks.is_wanted(&id) {
                self.blocks.want(&id);
                self.fx.out.push(Output::BlockVerdict(id, Verdict::Accept));
            }
            self.judge(id);
        } else {
            let at = self.fx.now.elapsed + self.config.fetch_after;
            self.fx.timers.set(Timer::Fetch(id), at);
        }
    }

    /// Asks for a block that is still missing, and will again.
    pub(super) fn fetch(&mut self, id: BlockId) {
        if self.blocks.get(&id).is_some() {
            return;
        }
        let from = match (&self.certified, self.wants.get(&id)) {
            (Some((certificate, from)), _) if certificate.block_id == id => *from,
            (_, Some(want)) => want.proposer.0,
            _ => return,
        };
        self.fx.out.push(Output::Request {
            id,
            height: self.height(),
            from,
        });
        self.fx
            .timers
            .set(Timer::Fetch(id), self.fx.now.elapsed + ASK_AGAIN);
    }

    /// Has the application judge a named block, if it is not judged.
    pub(super) fn judge(&mut self, id: BlockId) {
        let open = self.wants.get(&id).is_some_and(|want| !want.judged);
        if self.phase == Phase::Running
            && open
            && let Some(block) = self.blocks.get(&id)
        {
            self.fx.out.push(Output::Judge(block.clone()));
        }
    }

    /// The application's judgement.
    pub(super) fn on_judged(&mut self, id: BlockId, judgement: Judgement) {
        if self.phase != Phase::Running {
            return;
        }
        let Some(want) = self.wants.get_mut(&id).filter(|want| !want.judged) else {
            return;
        };
        let validity = match judgement {
            Judgement::Valid => Validity::Valid,
            Judgement::Invalid(why) => {
                tracing::warn!(block = %id.short(), proposer = %want.proposer, %why, "invalid block");
                Validity::Invalid
            }
            Judgement::NotYet(why) => {
                tracing::debug!(block = %id.short(), %why, "block not judged yet");
                let at = self.fx.now.elapsed + self.config.judge_again;
                return self.fx.timers.set(Timer::Judge(id), at);
            }
        };
        want.judged = true;
        let value = ProposedValue::<Ctx> {
            height: Height(self.head.height.after(1)),
            round: want.round,
            valid_round: want.pol_round,
            proposer: want.proposer,
            value: Value(id),
            validity,
        };
        if let (Validity::Valid, Some(block)) = (validity, self.blocks.get(&id)) {
            self.fx.log(record::encode_block(block));
        }
        self.feed(CoreInput::ProposedValue(value, ValueOrigin::Consensus));
    }

    pub(super) fn on_block(&mut self, block: Block) {
        let id = block.id();
        if let Some(verdict) = self.take_block(id, block) {
            self.fx.out.push(Output::BlockVerdict(id, verdict));
        }
    }

    /// Keeps a block if it may be needed. `None`: the verdict comes later.
    fn take_block(&mut self, id: BlockId, block: Block) -> Option<Verdict> {
        let height = block.header.height;
        let ours = self.height();
        let usable = matches!(self.phase, Phase::Idle | Phase::Running);
        if height < ours || height > ours.after(1) || !usable {
            return Some(Verdict::Ignore);
        }
        if self.blocks.get(&id).is_some() {
            return self.blocks.is_wanted(&id).then_some(Verdict::Accept);
        }
        if block.check_shape(&self.config.chain).is_err()
            || (height == ours && !self.follows_head(&block))
        {
            return Some(Verdict::Reject);
        }
        let proof = match &block.parent_certificate {
            Some(c) if height > ours && self.certified.is_none() => Some(c.clone()),
            _ => None,
        };
        let from = block.header.proposer;
        if let Some(certificate) = &proof
            && certificate
                .verify(&self.config.chain, self.set.inner())
                .is_err()
        {
            return Some(Verdict::Reject);
        }
        let named = self.wants.contains_key(&id);
        let decided = self
            .certified
            .as_ref()
            .is_some_and(|(c, _)| c.block_id == id);
        for gone in self.blocks.insert(id, Arc::new(block), named || decided) {
            self.fx
                .out
                .push(Output::BlockVerdict(gone, Verdict::Ignore));
        }
        // The next height's block proves that ours is decided.
        if let Some(certificate) = proof {
            self.on_certificate(certificate, from);
        }
        if decided {
            if let (Some((c, _)), Some(block)) = (self.certified.take(), self.blocks.get(&id)) {
                let block = block.clone();
                self.commit(block, c);
            }
        } else if named {
            self.judge(id);
        }
        (named || decided).then_some(Verdict::Accept)
    }

    fn follows_head(&self, block: &Block) -> bool {
        block.header.parent_id == self.head.block_id
            && block.header.validators_hash == self.set.inner().hash()
    }

    /// A committed block with its certificate.
    pub(super) fn on_synced(&mut self, block: Block, certificate: Certificate) -> Verdict {
        let height = self.height();
        let usable = matches!(self.phase, Phase::Idle | Phase::Running);
        if block.header.height != height || !usable {
            return Verdict::Ignore;
        }
        let id = block.id();
        if certificate.height != height
            || certificate.block_id != id
            || block.check_shape(&self.config.chain).is_err()
            || !self.follows_head(&block)
            || certificate
                .verify(&self.config.chain, self.set.inner())
                .is_err()
        {
            return Verdict::Reject;
        }
        self.commit(Arc::new(block), certificate);
        Verdict::Accept
    }
}
