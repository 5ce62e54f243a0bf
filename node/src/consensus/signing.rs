//! Signing what the engine says, checking what others say.
//!
//! - The secret key lives here and nowhere else in consensus.
//! - A signature that was found valid is remembered until its height is past,
//!   so the gossip check, the engine's own check and the check of certificates
//!   cost one pairing together. Invalid ones are not remembered: a stranger
//!   could fill the memory with them.
//! - A certificate of votes is valid when each voter is in the set and named
//!   once, each signature holds by itself, and the power suffices. Signatures
//!   are never checked as an aggregate here: two bad ones may cancel out, and
//!   the engine keeps them one by one.

use super::context::{CoreProposal, CoreVote, Ctx, Set, Voter};
use super::scheme::Sig;
use aether_kzg::bls;
use aether_mesh::{Account, ChainId};
use arc_malachitebft_core_types as core;
use arc_malachitebft_core_types::{
    CertificateError, CommitCertificate, CommitSignature, Context, NilOrVal, PolkaCertificate,
    PolkaSignature, RoundCertificate, RoundCertificateType, RoundSignature, SignedProposal,
    SignedVote, ThresholdParam, ThresholdParams, Validator, ValidatorSet, Vote, VoteType,
};
use std::collections::{BTreeSet, HashSet};

/// A validator's means to vote.
pub struct VoteKey {
    pub(super) account: Account,
    pub(super) secret: bls::SecretKey,
}

impl VoteKey {
    /// `secret` signs for the validator `account`. If its public key is not
    /// the one registered for the account, the node follows and does not vote.
    pub fn new(account: Account, secret: bls::SecretKey) -> Self {
        Self { account, secret }
    }
}

impl std::fmt::Debug for VoteKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "VoteKey({})", self.account.short())
    }
}

/// Valid signatures remembered a height: a thousand validators with two votes
/// in each of the eleven rounds the engine looks at, and some more.
const REMEMBERED_MAX: usize = 24_000;

type Known = HashSet<(Voter, [u8; 32], Sig)>;

/// Checks signatures and remembers the valid ones.
#[derive(Debug)]
pub(super) struct Checker {
    chain: ChainId,
    current: Known,
    previous: Known,
    /// Pairings computed so far; for metrics and tests.
    pub(super) checks: u64,
}

// The core's own error type, which is handed to the core.
#[allow(clippy::result_large_err)]
impl Checker {
    /// For one network.
    pub(super) fn new(chain: ChainId) -> Self {
        Self {
            chain,
            current: Known::new(),
            previous: Known::new(),
            checks: 0,
        }
    }

    /// A height is past: what was remembered before it may go.
    pub(super) fn next_height(&mut self) {
        self.previous = std::mem::take(&mut self.current);
    }

    /// Takes note of a signature made here.
    pub(super) fn remember(&mut self, voter: Voter, message: [u8; 32], signature: Sig) {
        if self.current.len() < REMEMBERED_MAX {
            self.current.insert((voter, message, signature));
        }
    }

    fn check(&mut self, voter: Voter, key: &bls::PublicKey, message: [u8; 32], sig: Sig) -> bool {
        let entry = (voter, message, sig);
        if self.current.contains(&entry) {
            return true;
        }
        if self.previous.contains(&entry) {
            self.remember(voter, message, sig);
            return true;
        }
        self.checks += 1;
        let valid = bls::Signature::from_bytes(&sig.0)
            .is_ok_and(|signature| signature.verify(key, &message));
        if valid {
            self.remember(voter, message, sig);
        }
        valid
    }

    /// Whether the vote's voter signed it with this key.
    pub(super) fn vote(&mut self, vote: &CoreVote, sig: Sig, key: &bls::PublicKey) -> bool {
        self.check(vote.voter, key, vote.sign_bytes(&self.chain), sig)
    }

    /// Whether the proposal's proposer signed it with this key.
    pub(super) fn proposal(
        &mut self,
        proposal: &CoreProposal,
        sig: Sig,
        key: &bls::PublicKey,
    ) -> bool {
        self.check(
            proposal.proposer,
            key,
            proposal.sign_bytes(&self.chain),
            sig,
        )
    }

    /// Whether the voter is in the set and signed the vote.
    pub(super) fn vote_in(&mut self, vote: &SignedVote<Ctx>, set: &Set) -> bool {
        set.get_by_address(&vote.message.voter)
            .is_some_and(|member| self.vote(&vote.message, vote.signature, member.public_key()))
    }

    /// Whether the proposer is in the set and signed the proposal.
    pub(super) fn proposal_in(&mut self, proposal: &SignedProposal<Ctx>, set: &Set) -> bool {
        set.get_by_address(&proposal.message.proposer)
            .is_some_and(|member| {
                self.proposal(&proposal.message, proposal.signature, member.public_key())
            })
    }

    /// Adds up the power of distinct members who really cast these votes.
    fn tally(
        &mut self,
        votes: impl Iterator<Item = SignedVote<Ctx>>,
        set: &Set,
        threshold: ThresholdParam,
        bad_signature: impl Fn(SignedVote<Ctx>) -> CertificateError<Ctx>,
    ) -> Result<(), CertificateError<Ctx>> {
        let mut seen = BTreeSet::new();
        let mut signed = 0u64;
        for vote in votes {
            let voter = *vote.validator_address();
            if !seen.insert(voter) {
                return Err(CertificateError::DuplicateVote(voter));
            }
            let member = set
                .get_by_address(&voter)
                .ok_or(CertificateError::UnknownValidator(voter))?;
            if !self.vote(&vote.message, vote.signature, member.public_key()) {
                return Err(bad_signature(vote));
            }
            // Distinct members cannot exceed the set's total, which was checked.
            signed = signed.saturating_add(member.voting_power());
        }
        let total = set.total_voting_power();
        if threshold.is_met(signed, total) {
            Ok(())
        } else {
            let expected = threshold.min_expected(total);
            Err(CertificateError::NotEnoughVotingPower {
                signed,
                total,
                expected,
            })
        }
    }

    /// A quorum's precommits for one block.
    pub(super) fn commit_certificate(
        &mut self,
        ctx: &Ctx,
        certificate: &CommitCertificate<Ctx>,
        set: &Set,
        thresholds: ThresholdParams,
    ) -> Result<(), CertificateError<Ctx>> {
        let votes = certificate.commit_signatures.iter().map(|entry| {
            let value = NilOrVal::Val(certificate.value_id);
            let (height, round) = (certificate.height, certificate.round);
            SignedVote::new(
                ctx.new_precommit(height, round, value, entry.address),
                entry.signature,
            )
        });
        self.tally(votes, set, thresholds.quorum, |vote| {
            CertificateError::InvalidCommitSignature(CommitSignature::new(
                vote.message.voter,
                vote.signature,
            ))
        })
    }

    /// A quorum's prevotes for one block.
    pub(super) fn polka_certificate(
        &mut self,
        ctx: &Ctx,
        certificate: &PolkaCertificate<Ctx>,
        set: &Set,
        thresholds: ThresholdParams,
    ) -> Result<(), CertificateError<Ctx>> {
        self.tally(certificate.votes(ctx), set, thresholds.quorum, |vote| {
            CertificateError::InvalidPolkaSignature(PolkaSignature::new(
                vote.message.voter,
                vote.signature,
            ))
        })
    }

    /// A quorum's precommits of a round, or more than a third's votes.
    pub(super) fn round_certificate(
        &mut self,
        ctx: &Ctx,
        certificate: &RoundCertificate<Ctx>,
        set: &Set,
        thresholds: ThresholdParams,
    ) -> Result<(), CertificateError<Ctx>> {
        let threshold = match certificate.cert_type {
            RoundCertificateType::Precommit => {
                let prevote = certificate
                    .round_signatures
                    .iter()
                    .find(|s| s.vote_type == VoteType::Prevote);
                if let Some(entry) = prevote {
                    return Err(CertificateError::InvalidVoteType(entry.address));
                }
                thresholds.quorum
            }
            RoundCertificateType::Skip => thresholds.honest,
        };
        self.tally(certificate.votes(ctx), set, threshold, |vote| {
            CertificateError::InvalidRoundSignature(RoundSignature::new(
                vote.message.kind,
                vote.message.value,
                vote.message.voter,
                vote.signature,
            ))
        })
    }
}

/// Signs for one validator, remembering what it signed as valid.
pub(super) fn sign_vote(
    key: &VoteKey,
    chain: &ChainId,
    vote: CoreVote,
    checker: &mut Checker,
) -> SignedVote<Ctx> {
    let message = vote.sign_bytes(chain);
    let signature = Sig(key.secret.sign(&message).to_bytes());
    checker.remember(vote.voter, message, signature);
    core::SignedMessage::new(vote, signature)
}

/// As [`sign_vote`], for proposals.
pub(super) fn sign_proposal(
    key: &VoteKey,
    chain: &ChainId,
    proposal: CoreProposal,
    checker: &mut Checker,
) -> SignedProposal<Ctx> {
    let message = proposal.sign_bytes(chain);
    let signature = Sig(key.secret.sign(&message).to_bytes());
    checker.remember(proposal.proposer, message, signature);
    core::SignedMessage::new(proposal, signature)
}
