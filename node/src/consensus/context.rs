//! Our types as the engine sees them.
//!
//! - A height is a slot, an address is a validator's account.
//! - The value is the block's id: the block itself travels apart, and our
//!   verdict on it is told to the engine separately, so that nothing is voted
//!   for unseen.
//! - The proposer depends on (set, height, round) alone.
//! - A vote's voter is part of the vote, but not of what is signed.

use super::scheme::{Scheme, Sig};
use aether_kzg::bls;
use aether_mesh::{Account, BlockId, ChainId, Slot, ValidatorSet, VoteKind, vote_sign_bytes};
use arc_malachitebft_core_types as core;
use arc_malachitebft_core_types::{LinearTimeouts, NilOrVal, Round, VoteType};
use std::fmt;
use std::sync::Arc;

/// What the engine is parameterised by: the network it votes on.
#[derive(Clone, Debug)]
pub(super) struct Ctx {
    /// Every signature names it.
    pub(super) chain: ChainId,
    /// Epoch length: the proposers' order changes with the epoch.
    pub(super) epoch_slots: u64,
}

/// A slot, as the engine's height.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Height(pub(super) Slot);

impl fmt::Display for Height {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl core::Height for Height {
    const ZERO: Self = Height(Slot(0));
    const INITIAL: Self = Height(Slot(1));

    fn increment_by(&self, n: u64) -> Self {
        Height(Slot(self.0.0.saturating_add(n)))
    }

    fn decrement_by(&self, n: u64) -> Option<Self> {
        self.0.0.checked_sub(n).map(|h| Height(Slot(h)))
    }

    fn as_u64(&self) -> u64 {
        self.0.0
    }
}

/// A validator's account, as the engine's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Voter(pub(super) Account);

impl fmt::Display for Voter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.short())
    }
}

impl core::Address for Voter {}

/// The id of a block, as the engine's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Value(pub(super) BlockId);

impl core::Value for Value {
    type Id = BlockId;

    fn id(&self) -> BlockId {
        self.0
    }
}

/// One validator of a [`Set`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    voter: Voter,
    key: bls::PublicKey,
    power: u64,
}

impl core::Validator<Ctx> for Member {
    fn address(&self) -> &Voter {
        &self.voter
    }

    fn public_key(&self) -> &bls::PublicKey {
        &self.key
    }

    fn voting_power(&self) -> u64 {
        self.power
    }
}

/// The protocol's validator set, with its members in the engine's form.
#[derive(Clone, Debug)]
pub(super) struct Set {
    inner: Arc<ValidatorSet>,
    members: Arc<[Member]>,
}

impl PartialEq for Set {
    fn eq(&self, other: &Self) -> bool {
        self.inner.hash() == other.inner.hash()
    }
}

impl Eq for Set {}

impl Set {
    /// Wraps a set; members keep its order.
    pub(super) fn new(inner: Arc<ValidatorSet>) -> Self {
        let members = inner
            .validators()
            .iter()
            .map(|v| Member {
                voter: Voter(v.account),
                key: v.vote_key,
                power: v.power,
            })
            .collect();
        Self { inner, members }
    }

    /// The protocol's set.
    pub(super) fn inner(&self) -> &ValidatorSet {
        &self.inner
    }
}

impl core::ValidatorSet<Ctx> for Set {
    fn count(&self) -> usize {
        self.members.len()
    }

    fn total_voting_power(&self) -> u64 {
        self.inner.total_power()
    }

    fn get_by_address(&self, address: &Voter) -> Option<&Member> {
        self.inner
            .index_of(&address.0)
            .and_then(|i| self.members.get(i))
    }

    fn get_by_index(&self, index: usize) -> Option<&Member> {
        self.members.get(index)
    }
}

/// A vote that the engine makes or counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CoreVote {
    /// Height voted on.
    pub(super) height: Height,
    /// Round within it, never nil.
    pub(super) round: Round,
    /// Prevote or precommit.
    pub(super) kind: VoteType,
    /// A block, or nil.
    pub(super) value: NilOrVal<BlockId>,
    /// Who votes.
    pub(super) voter: Voter,
}

impl CoreVote {
    /// What its signature covers.
    pub(super) fn sign_bytes(&self, chain: &ChainId) -> [u8; 32] {
        let block = match &self.value {
            NilOrVal::Nil => None,
            NilOrVal::Val(id) => Some(id),
        };
        let kind = kind_of(self.kind);
        vote_sign_bytes(chain, self.height.0, round_u32(self.round), kind, block)
    }

    /// As the protocol carries it.
    pub(super) fn to_mesh(&self, signature: Sig) -> aether_mesh::Vote {
        aether_mesh::Vote {
            height: self.height.0,
            round: round_u32(self.round),
            kind: kind_of(self.kind),
            block: match self.value {
                NilOrVal::Nil => None,
                NilOrVal::Val(id) => Some(id),
            },
            voter: self.voter.0,
            signature: signature.0,
        }
    }

    /// From the protocol's form; the signature is apart.
    pub(super) fn from_mesh(vote: &aether_mesh::Vote) -> Self {
        Self {
            height: Height(vote.height),
            round: Round::new(vote.round),
            kind: match vote.kind {
                VoteKind::Prevote => VoteType::Prevote,
                VoteKind::Precommit => VoteType::Precommit,
            },
            value: vote.block.map_or(NilOrVal::Nil, NilOrVal::Val),
            voter: Voter(vote.voter),
        }
    }
}

/// The protocol's name for a vote type.
pub(super) fn kind_of(kind: VoteType) -> VoteKind {
    match kind {
        VoteType::Prevote => VoteKind::Prevote,
        VoteType::Precommit => VoteKind::Precommit,
    }
}

/// A round that is known to be one; nil counts as the first.
pub(super) fn round_u32(round: Round) -> u32 {
    round.as_u32().unwrap_or(0)
}

impl core::Vote<Ctx> for CoreVote {
    fn height(&self) -> Height {
        self.height
    }

    fn round(&self) -> Round {
        self.round
    }

    fn value(&self) -> &NilOrVal<BlockId> {
        &self.value
    }

    fn take_value(self) -> NilOrVal<BlockId> {
        self.value
    }

    fn vote_type(&self) -> VoteType {
        self.kind
    }

    fn validator_address(&self) -> &Voter {
        &self.voter
    }

    fn extension(&self) -> Option<&core::SignedExtension<Ctx>> {
        None
    }

    fn take_extension(&mut self) -> Option<core::SignedExtension<Ctx>> {
        None
    }

    fn extend(self, _: core::SignedExtension<Ctx>) -> Self {
        self
    }
}

/// A proposal: which block, and since which round it is known to be valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CoreProposal {
    /// Height proposed for.
    pub(super) height: Height,
    /// Round within it, never nil.
    pub(super) round: Round,
    /// The block's id.
    pub(super) value: Value,
    /// The earlier round in which it gathered a quorum of prevotes, or nil.
    pub(super) pol_round: Round,
    /// Who proposes.
    pub(super) proposer: Voter,
}

impl CoreProposal {
    /// What its signature covers: a domain of its own, so that no proposal
    /// can pass for a vote.
    pub(super) fn sign_bytes(&self, chain: &ChainId) -> [u8; 32] {
        aether_mesh::hash_parts(
            "aether/proposal/v1",
            &[
                chain.as_bytes(),
                &self.height.0.0.to_be_bytes(),
                &self.round.as_i64().to_be_bytes(),
                &self.pol_round.as_i64().to_be_bytes(),
                self.value.0.as_bytes(),
            ],
        )
    }
}

impl core::Proposal<Ctx> for CoreProposal {
    fn height(&self) -> Height {
        self.height
    }

    fn round(&self) -> Round {
        self.round
    }

    fn value(&self) -> &Value {
        &self.value
    }

    fn take_value(self) -> Value {
        self.value
    }

    fn pol_round(&self) -> Round {
        self.pol_round
    }

    fn validator_address(&self) -> &Voter {
        &self.proposer
    }
}

/// Blocks travel whole: there are no parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoPart {}

impl core::ProposalPart<Ctx> for NoPart {
    fn is_first(&self) -> bool {
        match *self {}
    }

    fn is_last(&self) -> bool {
        match *self {}
    }
}

impl core::Context for Ctx {
    type Address = Voter;
    type Height = Height;
    type ProposalPart = NoPart;
    type Proposal = CoreProposal;
    type Validator = Member;
    type ValidatorSet = Set;
    type Timeouts = LinearTimeouts;
    type Value = Value;
    type Vote = CoreVote;
    type Extension = ();
    type SigningScheme = Scheme;

    fn select_proposer<'a>(&self, set: &'a Set, height: Height, round: Round) -> &'a Member {
        let proposer = set
            .inner
            .proposer(height.0, round_u32(round), self.epoch_slots);
        let index = set.inner.index_of(&proposer.account).unwrap_or(0);
        // A set is never empty and a proposer is one of its members.
        &set.members[index]
    }

    fn new_proposal(
        &self,
        height: Height,
        round: Round,
        value: Value,
        pol_round: Round,
        proposer: Voter,
    ) -> CoreProposal {
        CoreProposal {
            height,
            round,
            value,
            pol_round,
            proposer,
        }
    }

    fn new_prevote(
        &self,
        height: Height,
        round: Round,
        value: NilOrVal<BlockId>,
        voter: Voter,
    ) -> CoreVote {
        CoreVote {
            height,
            round,
            kind: VoteType::Prevote,
            value,
            voter,
        }
    }

    fn new_precommit(
        &self,
        height: Height,
        round: Round,
        value: NilOrVal<BlockId>,
        voter: Voter,
    ) -> CoreVote {
        CoreVote {
            height,
            round,
            kind: VoteType::Precommit,
            value,
            voter,
        }
    }
}
