//! Messages from strangers.
//!
//! - Cheap checks come first, then the signature, then the core. A valid
//!   signature is computed once.
//! - *Reject* is for what is wrong whatever the state is: bytes that are no
//!   message, a signature that is not the named validator's at the height we
//!   are deciding (its set is known to all).
//! - Votes may be repeated (gossip needs that when some were lost), but one
//!   and the same vote is passed on at most twice a second: its sending time
//!   is not signed, so anybody could make it look new.
//! - At most [`VOTES_PER_STEP`] different votes of one validator in one step
//!   are looked at: two suffice to prove that it cheats.
//! - Messages for the next height are kept if a member of the current set
//!   signed them, a few for each member; later ones only tell how far their
//!   senders are. We are behind when more than a third of stake is ahead.

use super::context::Voter;
use super::engine::{Engine, Phase};
use super::io::{Output, Verdict};
use super::messages::Message;
use super::timers::Timer;
use aether_mesh::{BlockId, Slot, ValidatorSet};
use arc_malachitebft_core_consensus::{Input as CoreInput, MAX_FUTURE_ROUND_LOOKAHEAD};
use arc_malachitebft_core_types::{Context, NilOrVal, ThresholdParams, Validator};
use std::collections::BTreeMap;
use std::time::Duration;

/// Different votes of one validator in one step that we look at.
const VOTES_PER_STEP: usize = 4;

/// The same vote is passed on again after this long.
const FORWARD_AGAIN: Duration = Duration::from_millis(500);

/// Messages kept for each sender and height that has not begun.
const AHEAD_PER_SENDER: usize = 8;

/// How long others may seem ahead before we ask for a sync: late precommits
/// usually settle it.
const BEHIND_AFTER: Duration = Duration::from_millis(500);

/// How often a sync or a missing block is asked for again.
pub(super) const ASK_AGAIN: Duration = Duration::from_secs(1);

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
}
