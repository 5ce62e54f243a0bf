//! What validators say to each other on the consensus topic, and the same
//! things as they stand in the log.
//!
//! - Messages are protobuf, at most [`MESSAGE_BYTES_MAX`] bytes, and canonical:
//!   decoding and encoding again gives the same bytes.
//! - Votes and proposals name their sender and are signed by it; a polka
//!   certificate is a quorum's prevotes for one block; a round certificate is
//!   why its sender entered a round.
//! - BLS is deterministic, so a vote sent again has the same bytes, and gossip
//!   would swallow it for as long as it remembers messages. Every sending
//!   therefore carries its time, which is not signed and means nothing else.
//! - Nothing here checks signatures.

use super::context::{CoreProposal, CoreVote, Ctx, Height, Value, Voter, kind_of, round_u32};
use super::scheme::Sig;
use aether_mesh::wire::{self, WireError};
use aether_mesh::{Account, BlockId, Slot, VoteKind, pb};
use arc_malachitebft_core_types::{
    NilOrVal, PolkaCertificate, PolkaSignature, Round, RoundCertificate, RoundCertificateType,
    RoundSignature, SignedMessage, SignedProposal, SignedVote, VoteType,
};
use prost::Message as _;

/// A round certificate of a thousand validators takes some 180 kB.
pub const MESSAGE_BYTES_MAX: usize = 256 * 1024;

/// Most signatures in a certificate: each validator's, once.
const SIGNATURES_MAX: usize = aether_mesh::VALIDATORS_MAX;

/// Rounds beyond this are nonsense; the engine adds to rounds unchecked.
const ROUND_MAX: u32 = 1 << 30;

/// One message of the consensus topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// A vote.
    Vote(SignedVote<Ctx>),
    /// A proposal; its block travels apart.
    Proposal(SignedProposal<Ctx>),
    /// A quorum's prevotes for one block.
    Polka(PolkaCertificate<Ctx>),
    /// Why its sender entered a round.
    Round(RoundCertificate<Ctx>),
}

#[derive(Clone, PartialEq, prost::Message)]
struct EnvelopePb {
    /// Milliseconds; makes a repetition a new message to gossip.
    #[prost(uint64, tag = "1")]
    sent_ms: u64,
    #[prost(oneof = "BodyPb", tags = "2, 3, 4, 5")]
    body: Option<BodyPb>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum BodyPb {
    #[prost(message, tag = "2")]
    Vote(pb::Vote),
    #[prost(message, tag = "3")]
    Proposal(ProposalPb),
    #[prost(message, tag = "4")]
    Polka(PolkaPb),
    #[prost(message, tag = "5")]
    Round(RoundPb),
}

/// A proposal as it travels and stands in the log.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ProposalPb {
    #[prost(uint64, tag = "1")]
    height: u64,
    #[prost(uint32, tag = "2")]
    round: u32,
    /// Round of the polka plus one; 0 for none.
    #[prost(uint32, tag = "3")]
    pol_round: u32,
    #[prost(bytes = "vec", tag = "4")]
    block_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    proposer: Vec<u8>,
    #[prost(bytes = "vec", tag = "6")]
    signature: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct PolkaSignerPb {
    #[prost(bytes = "vec", tag = "1")]
    voter: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    signature: Vec<u8>,
}

/// A polka certificate as it travels and stands in the log.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PolkaPb {
    #[prost(uint64, tag = "1")]
    height: u64,
    #[prost(uint32, tag = "2")]
    round: u32,
    #[prost(bytes = "vec", tag = "3")]
    block_id: Vec<u8>,
    #[prost(message, repeated, tag = "4")]
    signers: Vec<PolkaSignerPb>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RoundSignerPb {
    #[prost(uint32, tag = "1")]
    kind: u32,
    /// Empty for nil.
    #[prost(bytes = "vec", tag = "2")]
    block_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    voter: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    signature: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RoundPb {
    #[prost(uint64, tag = "1")]
    height: u64,
    #[prost(uint32, tag = "2")]
    round: u32,
    /// 1 more than a third's votes of the round, 2 a quorum's precommits.
    #[prost(uint32, tag = "3")]
    reason: u32,
    #[prost(message, repeated, tag = "4")]
    signers: Vec<RoundSignerPb>,
}

fn round(round: u32) -> Result<Round, WireError> {
    if round > ROUND_MAX {
        Err(WireError::Invalid("round"))
    } else {
        Ok(Round::new(round))
    }
}

/// A round that may be nil, as one integer: 0 for nil, else the round plus one.
pub(super) fn round_or_nil_to_u32(round: Round) -> u32 {
    round.as_u32().map_or(0, |r| r.saturating_add(1))
}

/// The reverse of [`round_or_nil_to_u32`].
pub(super) fn round_or_nil(value: u32) -> Result<Round, WireError> {
    value.checked_sub(1).map_or(Ok(Round::Nil), round)
}

fn block_or_nil(bytes: &[u8]) -> Result<NilOrVal<BlockId>, WireError> {
    if bytes.is_empty() {
        return Ok(NilOrVal::Nil);
    }
    Ok(NilOrVal::Val(BlockId(wire::fixed(bytes, "block_id")?)))
}

fn voter(bytes: &[u8]) -> Result<Voter, WireError> {
    Ok(Voter(Account(wire::fixed(bytes, "voter")?)))
}

fn sig(bytes: &[u8]) -> Result<Sig, WireError> {
    Ok(Sig(wire::fixed(bytes, "signature")?))
}

/// A signed vote, to the wire.
pub(super) fn vote_to_pb(vote: &SignedVote<Ctx>) -> pb::Vote {
    vote.message.to_mesh(vote.signature).to_pb()
}

/// A signed vote, from the wire.
pub(super) fn vote_from_pb(vote: &pb::Vote) -> Result<SignedVote<Ctx>, WireError> {
    round(vote.round)?;
    let vote = aether_mesh::Vote::from_pb(vote)?;
    Ok(SignedMessage::new(
        CoreVote::from_mesh(&vote),
        Sig(vote.signature),
    ))
}

/// A signed proposal, to the wire.
pub(super) fn proposal_to_pb(signed: &SignedProposal<Ctx>) -> ProposalPb {
    let p = &signed.message;
    ProposalPb {
        height: p.height.0.0,
        round: round_u32(p.round),
        pol_round: round_or_nil_to_u32(p.pol_round),
        block_id: p.value.0.0.to_vec(),
        proposer: p.proposer.0.0.to_vec(),
        signature: signed.signature.0.to_vec(),
    }
}

/// A signed proposal, from the wire.
pub(super) fn proposal_from_pb(p: &ProposalPb) -> Result<SignedProposal<Ctx>, WireError> {
    let proposal = CoreProposal {
        height: Height(Slot(p.height)),
        round: round(p.round)?,
        value: Value(BlockId(wire::fixed(&p.block_id, "block_id")?)),
        pol_round: round_or_nil(p.pol_round)?,
        proposer: voter(&p.proposer)?,
    };
    if proposal.pol_round >= proposal.round {
        return Err(WireError::Invalid("pol_round"));
    }
    Ok(SignedMessage::new(proposal, sig(&p.signature)?))
}

/// A polka certificate, to the wire.
pub(super) fn polka_to_pb(c: &PolkaCertificate<Ctx>) -> PolkaPb {
    PolkaPb {
        height: c.height.0.0,
        round: round_u32(c.round),
        block_id: c.value_id.0.to_vec(),
        signers: c
            .polka_signatures
            .iter()
            .map(|s| PolkaSignerPb {
                voter: s.address.0.0.to_vec(),
                signature: s.signature.0.to_vec(),
            })
            .collect(),
    }
}

/// A polka certificate, from the wire.
pub(super) fn polka_from_pb(c: &PolkaPb) -> Result<PolkaCertificate<Ctx>, WireError> {
    if c.signers.len() > SIGNATURES_MAX {
        return Err(WireError::Invalid("signers"));
    }
    let polka_signatures = c
        .signers
        .iter()
        .map(|s| Ok(PolkaSignature::new(voter(&s.voter)?, sig(&s.signature)?)))
        .collect::<Result<_, WireError>>()?;
    Ok(PolkaCertificate {
        height: Height(Slot(c.height)),
        round: round(c.round)?,
        value_id: BlockId(wire::fixed(&c.block_id, "block_id")?),
        polka_signatures,
    })
}

fn round_to_pb(c: &RoundCertificate<Ctx>) -> RoundPb {
    RoundPb {
        height: c.height.0.0,
        round: round_u32(c.round),
        reason: match c.cert_type {
            RoundCertificateType::Skip => 1,
            RoundCertificateType::Precommit => 2,
        },
        signers: c
            .round_signatures
            .iter()
            .map(|s| RoundSignerPb {
                kind: kind_of(s.vote_type) as u32,
                block_id: match s.value_id {
                    NilOrVal::Nil => Vec::new(),
                    NilOrVal::Val(id) => id.0.to_vec(),
                },
                voter: s.address.0.0.to_vec(),
                signature: s.signature.0.to_vec(),
            })
            .collect(),
    }
}

fn round_from_pb(c: &RoundPb) -> Result<RoundCertificate<Ctx>, WireError> {
    if c.signers.len() > SIGNATURES_MAX {
        return Err(WireError::Invalid("signers"));
    }
    let round_signatures = c
        .signers
        .iter()
        .map(|s| {
            let kind = match s.kind {
                k if k == VoteKind::Prevote as u32 => VoteType::Prevote,
                k if k == VoteKind::Precommit as u32 => VoteType::Precommit,
                _ => return Err(WireError::Invalid("kind")),
            };
            Ok(RoundSignature::new(
                kind,
                block_or_nil(&s.block_id)?,
                voter(&s.voter)?,
                sig(&s.signature)?,
            ))
        })
        .collect::<Result<_, WireError>>()?;
    Ok(RoundCertificate {
        height: Height(Slot(c.height)),
        round: round(c.round)?,
        cert_type: match c.reason {
            1 => RoundCertificateType::Skip,
            2 => RoundCertificateType::Precommit,
            _ => return Err(WireError::Invalid("reason")),
        },
        round_signatures,
    })
}

impl Message {
    /// Wire bytes, sent at `sent_ms`.
    pub(super) fn encode(&self, sent_ms: u64) -> Vec<u8> {
        let body = match self {
            Message::Vote(vote) => BodyPb::Vote(vote_to_pb(vote)),
            Message::Proposal(proposal) => BodyPb::Proposal(proposal_to_pb(proposal)),
            Message::Polka(certificate) => BodyPb::Polka(polka_to_pb(certificate)),
            Message::Round(certificate) => BodyPb::Round(round_to_pb(certificate)),
        };
        EnvelopePb {
            sent_ms,
            body: Some(body),
        }
        .encode_to_vec()
    }

    /// From a stranger: bounded, canonical, fields of the right lengths.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let envelope: EnvelopePb = wire::decode(bytes, MESSAGE_BYTES_MAX)?;
        Ok(match envelope.body.ok_or(WireError::Invalid("body"))? {
            BodyPb::Vote(vote) => Message::Vote(vote_from_pb(&vote)?),
            BodyPb::Proposal(proposal) => Message::Proposal(proposal_from_pb(&proposal)?),
            BodyPb::Polka(certificate) => Message::Polka(polka_from_pb(&certificate)?),
            BodyPb::Round(certificate) => Message::Round(round_from_pb(&certificate)?),
        })
    }

    /// The height it is about.
    pub(super) fn height(&self) -> Slot {
        match self {
            Message::Vote(vote) => vote.message.height.0,
            Message::Proposal(proposal) => proposal.message.height.0,
            Message::Polka(certificate) => certificate.height.0,
            Message::Round(certificate) => certificate.height.0,
        }
    }

    /// The round it is about.
    pub(super) fn round(&self) -> Round {
        match self {
            Message::Vote(vote) => vote.message.round,
            Message::Proposal(proposal) => proposal.message.round,
            Message::Polka(certificate) => certificate.round,
            Message::Round(certificate) => certificate.round,
        }
    }
}
