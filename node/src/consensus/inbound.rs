//! What strangers send: messages, blocks, synced blocks.
//!
//! - Cheap checks come first, then the signature, then the core. A valid
//!   signature is computed once.
//! - *Reject* is for what is wrong whatever the state is: bytes that are no
//!   message, a signature that is not the named validator's at the height we
//!   are deciding (its set is known to all), a block that contradicts itself.
//! - Votes may be repeated (gossip needs that when some were lost), but one
//!   and the same vote is passed on at most twice a second: its sending time
//!   is not signed, so anybody could make it look new.
//! - At most [`VOTES_PER_STEP`] different votes of one validator in one step
//!   are looked at: two suffice to prove that it cheats.
//! - Messages for the next height are kept if a member of the current set
//!   signed them, a few for each member; later ones only tell how far their
//!   senders are. We are behind when more than a third of stake is ahead.

use super::context::{CoreProposal, Ctx, Height, Value, Voter};
use super::engine::{Engine, Judgement, Output, Phase, Verdict};
use super::heights::Want;
use super::messages::Message;
use super::record;
use super::timers::Timer;
use aether_mesh::{Block, BlockId, Certificate, Slot, ValidatorSet};
use arc_malachitebft_core_consensus::{
    Input as CoreInput, MAX_FUTURE_ROUND_LOOKAHEAD, ProposedValue,
};
use arc_malachitebft_core_types::{
    Context, NilOrVal, ThresholdParams, Validator, Validity, ValueOrigin,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Different votes of one validator in one step that we look at.
const VOTES_PER_STEP: usize = 4;

/// The same vote is passed on again after this long.
const FORWARD_AGAIN: Duration = Duration::from_millis(500);

/// Messages kept for each sender and height that has not begun.
const AHEAD_PER_SENDER: usize = 8;

/// Blocks of one height that proposals name: two a round for many rounds.
const WANTS_MAX: usize = 64;

/// How long others may seem ahead before we ask for a sync: late precommits
/// usually settle it.
const BEHIND_AFTER: Duration = Duration::from_millis(500);

/// How often a sync or a missing block is asked for again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// One step of one sender: (sender, kind of message, round).
type StepKey = (Voter, u8, u32);

/// What was passed on at the running height, and when.
#[derive(Debug, Default)]
pub(super) struct Forwarded(BTreeMap<StepKey, Vec<(NilOrVal<BlockId>, Duration)>>);

impl Forwarded {
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Whether a sender's step has as many different messages as we look at,
    /// and this is another one.
    fn is_full(&self, key: &StepKey, value: &NilOrVal<BlockId>) -> bool {
        self.0.get(key).is_some_and(|seen| {
            seen.len() >= VOTES_PER_STEP && !seen.iter().any(|(v, _)| v == value)
        })
    }

    /// Whether the message may be passed on now; takes note of it.
    fn pass(&mut self, key: StepKey, value: NilOrVal<BlockId>, now: Duration) -> bool {
        let seen = self.0.entry(key).or_default();
        match seen.iter_mut().find(|(v, _)| *v == value) {
            Some((_, last)) if now < *last + FORWARD_AGAIN => false,
            Some((_, last)) => {
                *last = now;
                true
            }
            None => {
                seen.push((value, now));
                true
            }
        }
    }
}

/// Verified messages for heights that have not begun.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    messages: BTreeMap<(Slot, Voter), Vec<Message>>,
    /// The highest later height each member of the set sent a message for.
    claims: BTreeMap<Voter, Slot>,
}

impl Ahead {
    /// Keeps a message unless it is known or its sender has enough here.
    fn keep(&mut self, sender: Voter, message: Message) -> bool {
        let kept = self.messages.entry((message.height(), sender)).or_default();
        let new = kept.len() < AHEAD_PER_SENDER && !kept.contains(&message);
        if new {
            kept.push(message);
        }
        new
    }

    /// Takes out what was kept for a height, proposals first.
    pub(super) fn take(&mut self, height: Slot) -> Vec<Message> {
        let later = self
            .messages
            .split_off(&(height.after(1), Voter(Default::default())));
        let mut taken: Vec<Message> = std::mem::replace(&mut self.messages, later)
            .into_values()
            .flatten()
            .collect();
        taken.retain(|message| message.height() == height);
        taken.sort_by_key(|message| !matches!(message, Message::Proposal(_)));
        taken
    }

    pub(super) fn forget_below(&mut self, height: Slot) {
        self.messages = self
            .messages
            .split_off(&(height, Voter(Default::default())));
        self.claims.retain(|_, claimed| *claimed >= height);
    }

    /// The highest height that more than a third of stake claims to be at: an
    /// honest validator is there.
    fn reached(&self, set: &ValidatorSet) -> Slot {
        let mut claims: Vec<(Slot, u64)> = self
            .claims
            .iter()
            .filter_map(|(voter, height)| Some((*height, set.get(&voter.0)?.power)))
            .collect();
        claims.sort_by_key(|claim| std::cmp::Reverse(*claim));
        let mut power = 0u64;
        for (height, more) in claims {
            power = power.saturating_add(more);
            if set.is_more_than_third(power) {
                return height;
            }
        }
        Slot(0)
    }
}

/// A step's key and the value that the message is for. Certificates have no
/// sender.
fn step_of(message: &Message) -> (StepKey, NilOrVal<BlockId>) {
    let nobody = Voter(Default::default());
    let round = super::context::round_u32(message.round());
    match message {
        Message::Vote(vote) => {
            let v = &vote.message;
            (
                (v.voter, super::context::kind_of(v.kind) as u8, round),
                v.value,
            )
        }
        Message::Proposal(p) => (
            (p.message.proposer, 3, round),
            NilOrVal::Val(p.message.value.0),
        ),
        Message::Polka(certificate) => ((nobody, 4, round), NilOrVal::Val(certificate.value_id)),
        Message::Round(_) => ((nobody, 5, round), NilOrVal::Nil),
    }
}

impl Engine {
    pub(super) fn on_message(&mut self, bytes: &[u8]) -> Verdict {
        let Ok(message) = Message::decode(bytes) else {
            return Verdict::Reject;
        };
        let height = message.height();
        if height == self.head.height {
            return self.on_late(message);
        }
        if height < self.height() {
            return Verdict::Ignore;
        }
        if height > self.height() {
            return self.on_early(message);
        }
        match self.phase {
            Phase::Idle => self.on_early(message),
            Phase::Running => self.deliver(message),
            Phase::Committing | Phase::Halted => Verdict::Ignore,
        }
    }

    /// A precommit for the block just committed makes its certificate fuller.
    fn on_late(&mut self, message: Message) -> Verdict {
        let Message::Vote(vote) = message else {
            return Verdict::Ignore;
        };
        if self.phase != Phase::Idle || !self.core_decided_head() {
            return Verdict::Ignore;
        }
        let set = self.state.validator_set().clone();
        let (key, value) = step_of(&Message::Vote(vote.clone()));
        if self.forwarded.is_full(&key, &value) || !self.fx.checker.vote_in(&vote, &set) {
            return Verdict::Ignore;
        }
        self.feed(CoreInput::Vote(vote));
        self.pass_on(key, value)
    }

    /// A message for a height that has not begun here.
    fn on_early(&mut self, message: Message) -> Verdict {
        let height = message.height();
        let next = self.height().after(1);
        let sender = match &message {
            Message::Vote(vote) => vote.message.voter,
            Message::Proposal(proposal) => proposal.message.proposer,
            // Certificates are repeated; they can wait.
            Message::Polka(_) | Message::Round(_) => return Verdict::Ignore,
        };
        // One message a height and sender tells where it is; more is noise.
        let claimed = self.ahead.claims.get(&sender).copied().unwrap_or_default();
        if height > next && height <= claimed {
            return Verdict::Ignore;
        }
        let signed = match &message {
            Message::Vote(vote) => self.fx.checker.vote_in(vote, &self.set),
            Message::Proposal(proposal) => self.fx.checker.proposal_in(proposal, &self.set),
            Message::Polka(_) | Message::Round(_) => false,
        };
        if !signed {
            // The set of a later height may differ from ours: nobody's fault.
            let known = self.set.inner().get(&sender.0).is_some();
            let ours = height == self.height();
            return if ours && known {
                Verdict::Reject
            } else {
                Verdict::Ignore
            };
        }
        if height > self.height() {
            self.ahead.claims.insert(sender, claimed.max(height));
            self.fx
                .timers
                .set_if_idle(Timer::Behind, self.fx.now.elapsed + BEHIND_AFTER);
        }
        let kept = height <= next && self.ahead.keep(sender, message);
        if kept {
            Verdict::Accept
        } else {
            Verdict::Ignore
        }
    }

    /// Others were ahead a while ago: are they still?
    pub(super) fn check_behind(&mut self) {
        let reached = self.ahead.reached(self.set.inner());
        if reached > self.height() {
            self.fx.out.push(Output::Behind(reached));
            self.fx
                .timers
                .set(Timer::Behind, self.fx.now.elapsed + ASK_AGAIN);
        }
    }

    fn pass_on(&mut self, key: StepKey, value: NilOrVal<BlockId>) -> Verdict {
        let pass = self.forwarded.pass(key, value, self.fx.now.elapsed);
        if pass {
            Verdict::Accept
        } else {
            Verdict::Ignore
        }
    }

    /// A message for the running height.
    pub(super) fn deliver(&mut self, message: Message) -> Verdict {
        let limit = self.state.round().as_i64() + i64::from(MAX_FUTURE_ROUND_LOOKAHEAD);
        let (key, value) = step_of(&message);
        if message.round().as_i64() > limit || self.forwarded.is_full(&key, &value) {
            return Verdict::Ignore;
        }
        let thresholds = ThresholdParams::default();
        match message {
            Message::Vote(vote) => {
                if self.set.inner().get(&vote.message.voter.0).is_none() {
                    return Verdict::Ignore;
                }
                if !self.fx.checker.vote_in(&vote, &self.set) {
                    return Verdict::Reject;
                }
                self.feed(CoreInput::Vote(vote));
            }
            Message::Proposal(proposal) => {
                let p = proposal.message.clone();
                let proposer = self.fx.ctx.select_proposer(&self.set, p.height, p.round);
                if *proposer.address() != p.proposer
                    || !self.fx.checker.proposal_in(&proposal, &self.set)
                {
                    return Verdict::Reject;
                }
                self.feed(CoreInput::Proposal(proposal));
                if self.register(&p) {
                    self.seek(p.value.0);
                }
            }
            Message::Polka(certificate) => {
                let fx = &mut self.fx;
                let verified =
                    fx.checker
                        .polka_certificate(&fx.ctx, &certificate, &self.set, thresholds);
                if verified.is_err() {
                    return Verdict::Reject;
                }
                self.feed(CoreInput::PolkaCertificate(certificate));
            }
            Message::Round(certificate) => {
                let fx = &mut self.fx;
                let verified =
                    fx.checker
                        .round_certificate(&fx.ctx, &certificate, &self.set, thresholds);
                if verified.is_err() {
                    return Verdict::Reject;
                }
                self.feed(CoreInput::RoundCertificate(certificate));
            }
        }
        self.pass_on(key, value)
    }

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
