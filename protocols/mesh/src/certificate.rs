//! Votes, and the certificates that a block's precommits aggregate into.
//!
//! - A vote signs `domain ‖ chain ‖ height ‖ round ‖ kind ‖ block id` and not
//!   its voter, so the precommits of one block aggregate into one signature.
//! - A certificate's bitmap is exactly as long as the set, spare bits are
//!   zero, and the signers hold more than 2/3 of stake, counted in integers.
//! - Two honest nodes may hold different certificates for one block; so a
//!   locally made one is never hashed into state. The parent's certificate is
//!   put into the next block instead.

use crate::primitives::{Account, BlockId, ChainId, Slot, hash_parts};
use crate::validators::ValidatorSet;
use crate::wire::{self, WireError, pb};
use aether_kzg::bls;
use prost::Message;

/// Prevote or precommit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VoteKind {
    /// First step of a round.
    Prevote = 1,
    /// Second step; these make certificates.
    Precommit = 2,
}

/// The bytes a validator signs.
///
/// `SHA-256` of the parts keeps the signed message short and of one length.
pub fn vote_sign_bytes(
    chain: &ChainId,
    height: Slot,
    round: u32,
    kind: VoteKind,
    block: Option<&BlockId>,
) -> [u8; 32] {
    let (flag, id): (u8, &[u8]) = match block {
        Some(id) => (1, id.as_bytes()),
        None => (0, &[]),
    };
    hash_parts(
        "aether/vote/v1",
        &[
            chain.as_bytes(),
            &height.0.to_be_bytes(),
            &round.to_be_bytes(),
            &[kind as u8, flag],
            id,
        ],
    )
}

/// One validator's vote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vote {
    /// Height voted on.
    pub height: Slot,
    /// Round within it.
    pub round: u32,
    /// Prevote or precommit.
    pub kind: VoteKind,
    /// The block, or nil.
    pub block: Option<BlockId>,
    /// Who says to have signed.
    pub voter: Account,
    /// BLS signature, compressed; not yet checked.
    pub signature: [u8; 96],
}

impl Vote {
    /// From the wire.
    pub fn from_pb(vote: &pb::Vote) -> Result<Self, WireError> {
        let kind = match vote.kind {
            1 => VoteKind::Prevote,
            2 => VoteKind::Precommit,
            _ => return Err(WireError::Invalid("vote.kind")),
        };
        let block = if vote.block_id.is_empty() {
            None
        } else {
            Some(BlockId(wire::fixed(&vote.block_id, "vote.block_id")?))
        };
        Ok(Self {
            height: Slot(vote.height),
            round: vote.round,
            kind,
            block,
            voter: Account(wire::fixed(&vote.voter, "vote.voter")?),
            signature: wire::fixed(&vote.signature, "vote.signature")?,
        })
    }

    /// To the wire.
    pub fn to_pb(&self) -> pb::Vote {
        pb::Vote {
            height: self.height.0,
            round: self.round,
            kind: self.kind as u32,
            block_id: self.block.map(|b| b.0.to_vec()).unwrap_or_default(),
            voter: self.voter.0.to_vec(),
            signature: self.signature.to_vec(),
        }
    }

    /// Whether the voter is in the set and really signed it.
    pub fn verify(&self, chain: &ChainId, set: &ValidatorSet) -> bool {
        let Some(validator) = set.get(&self.voter) else {
            return false;
        };
        let Ok(signature) = bls::Signature::from_bytes(&self.signature) else {
            return false;
        };
        let message = vote_sign_bytes(
            chain,
            self.height,
            self.round,
            self.kind,
            self.block.as_ref(),
        );
        signature.verify(&validator.vote_key, &message)
    }
}

/// Aggregated precommits for one block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Height of the block.
    pub height: Slot,
    /// The round it was decided in.
    pub round: u32,
    /// The block.
    pub block_id: BlockId,
    /// One bit a validator, in set order, least significant bit first.
    pub signers: Vec<u8>,
    /// Aggregated BLS signature, compressed.
    pub signature: [u8; 96],
}

/// Why a certificate proves nothing. The sender's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// The bitmap is not exactly as long as the set, or has spare bits set.
    #[error("the signers' bitmap does not fit the validator set")]
    Bitmap,
    /// The signers hold 2/3 of stake or less.
    #[error("signers hold {signed} of {total} stake, which is no quorum")]
    NoQuorum {
        /// Power of the signers.
        signed: u64,
        /// Power of all.
        total: u64,
    },
    /// The aggregate is malformed or does not verify.
    #[error("the aggregated signature is invalid")]
    Signature,
    /// It is about another block or height than expected.
    #[error("the certificate is about another block")]
    OtherBlock,
}

impl Certificate {
    /// Aggregates precommits (already verified) for one block.
    ///
    /// Votes from outside the set, of other kinds, rounds or blocks, and
    /// second votes of one validator are left out; `None` when what remains is
    /// no quorum.
    pub fn aggregate(
        set: &ValidatorSet,
        height: Slot,
        round: u32,
        block_id: BlockId,
        votes: &[Vote],
    ) -> Option<Self> {
        let mut signers = vec![0u8; set.len().div_ceil(8)];
        let mut signatures = Vec::with_capacity(votes.len());
        let mut power = 0u64;
        for vote in votes {
            let fits = vote.height == height
                && vote.round == round
                && vote.kind == VoteKind::Precommit
                && vote.block == Some(block_id);
            let Some(index) = set.index_of(&vote.voter).filter(|_| fits) else {
                continue;
            };
            if signers[index / 8] & (1 << (index % 8)) != 0 {
                continue;
            }
            let Ok(signature) = bls::Signature::from_bytes(&vote.signature) else {
                continue;
            };
            signers[index / 8] |= 1 << (index % 8);
            power += set.validators()[index].power;
            signatures.push(signature);
        }
        if !set.is_quorum(power) {
            return None;
        }
        let signature = bls::aggregate(&signatures)?.to_bytes();
        Some(Self {
            height,
            round,
            block_id,
            signers,
            signature,
        })
    }

    /// Whether more than 2/3 of the set's stake signed this block.
    pub fn verify(&self, chain: &ChainId, set: &ValidatorSet) -> Result<(), CertificateError> {
        if self.signers.len() != set.len().div_ceil(8) {
            return Err(CertificateError::Bitmap);
        }
        let mut keys = Vec::with_capacity(set.len());
        let mut signed = 0u64;
        for bit in 0..self.signers.len() * 8 {
            if self.signers[bit / 8] & (1 << (bit % 8)) == 0 {
                continue;
            }
            let validator = set.validators().get(bit).ok_or(CertificateError::Bitmap)?;
            signed += validator.power;
            keys.push(validator.vote_key);
        }
        if !set.is_quorum(signed) {
            return Err(CertificateError::NoQuorum {
                signed,
                total: set.total_power(),
            });
        }
        let signature =
            bls::Signature::from_bytes(&self.signature).map_err(|_| CertificateError::Signature)?;
        let message = vote_sign_bytes(
            chain,
            self.height,
            self.round,
            VoteKind::Precommit,
            Some(&self.block_id),
        );
        if bls::fast_aggregate_verify(&keys, &message, &signature) {
            Ok(())
        } else {
            Err(CertificateError::Signature)
        }
    }

    /// What the next header carries of it.
    pub fn hash(&self) -> [u8; 32] {
        hash_parts("aether/certificate/v1", &[&self.to_pb().encode_to_vec()])
    }

    /// To the wire.
    pub fn to_pb(&self) -> pb::Certificate {
        pb::Certificate {
            height: self.height.0,
            round: self.round,
            block_id: self.block_id.0.to_vec(),
            signers: self.signers.clone(),
            signature: self.signature.to_vec(),
        }
    }

    /// From the wire; the signature is not yet checked.
    pub fn from_pb(c: &pb::Certificate) -> Result<Self, WireError> {
        Ok(Self {
            height: Slot(c.height),
            round: c.round,
            block_id: BlockId(wire::fixed(&c.block_id, "certificate.block_id")?),
            signers: c.signers.clone(),
            signature: wire::fixed(&c.signature, "certificate.signature")?,
        })
    }
}
