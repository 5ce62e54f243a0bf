//! What stands in the log: blocks we judged or built, and the inputs the
//! engine must see again to come to the same votes.
//!
//! - Persisted inputs: votes, proposals, polka certificates, the time-outs of
//!   the three steps, and our verdicts on blocks. Everything else is rebuilt.
//! - A block stands in the log before the verdict on it.

use super::context::{Ctx, Height, Value, Voter};
use super::messages::{self, PolkaPb, ProposalPb, round_or_nil, round_or_nil_to_u32};
use aether_mesh::wire::{self, WireError};
use aether_mesh::{Account, Block, BlockId, Slot, pb};
use arc_malachitebft_core_consensus::{Input, ProposedValue};
use arc_malachitebft_core_types::{Timeout, TimeoutKind, Validity, ValueOrigin};
use prost::Message as _;

/// Largest record: a block with room to spare.
const RECORD_BYTES_MAX: usize = 64 << 20;

/// One entry of the log.
#[derive(Clone, Debug)]
pub(super) enum Record {
    /// The bytes of a block that a verdict or proposal names.
    Block(Box<Block>),
    /// Something the engine was told.
    Input(Box<Input<Ctx>>),
}

#[derive(Clone, PartialEq, prost::Message)]
struct RecordPb {
    #[prost(oneof = "EntryPb", tags = "1, 2, 3, 4, 5, 6")]
    entry: Option<EntryPb>,
}

// Short-lived: built to be encoded, or taken apart right after decoding.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, PartialEq, prost::Oneof)]
enum EntryPb {
    #[prost(message, tag = "1")]
    Block(pb::Block),
    #[prost(message, tag = "2")]
    Vote(pb::Vote),
    #[prost(message, tag = "3")]
    Proposal(ProposalPb),
    #[prost(message, tag = "4")]
    Polka(PolkaPb),
    #[prost(message, tag = "5")]
    Timeout(TimeoutPb),
    #[prost(message, tag = "6")]
    Verdict(VerdictPb),
}

#[derive(Clone, PartialEq, prost::Message)]
struct TimeoutPb {
    /// 1 propose, 2 prevote, 3 precommit.
    #[prost(uint32, tag = "1")]
    step: u32,
    /// Round plus one.
    #[prost(uint32, tag = "2")]
    round: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct VerdictPb {
    #[prost(uint64, tag = "1")]
    height: u64,
    /// Rounds are stored plus one, 0 for none.
    #[prost(uint32, tag = "2")]
    round: u32,
    #[prost(uint32, tag = "3")]
    valid_round: u32,
    #[prost(bytes = "vec", tag = "4")]
    proposer: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    block_id: Vec<u8>,
    #[prost(bool, tag = "6")]
    valid: bool,
}

/// The record of a block.
pub(super) fn encode_block(block: &Block) -> Vec<u8> {
    RecordPb {
        entry: Some(EntryPb::Block(block.to_pb())),
    }
    .encode_to_vec()
}

/// The record of an input; `None` for those that are not kept.
pub(super) fn encode_input(input: &Input<Ctx>) -> Option<Vec<u8>> {
    let entry = match input {
        Input::Vote(vote) => EntryPb::Vote(messages::vote_to_pb(vote)),
        Input::Proposal(proposal) => EntryPb::Proposal(messages::proposal_to_pb(proposal)),
        Input::PolkaCertificate(c) => EntryPb::Polka(messages::polka_to_pb(c)),
        Input::TimeoutElapsed(timeout) => EntryPb::Timeout(TimeoutPb {
            step: match timeout.kind {
                TimeoutKind::Propose => 1,
                TimeoutKind::Prevote => 2,
                TimeoutKind::Precommit => 3,
                TimeoutKind::Rebroadcast | TimeoutKind::FinalizeHeight(_) => return None,
            },
            round: round_or_nil_to_u32(timeout.round),
        }),
        Input::ProposedValue(value, _) => EntryPb::Verdict(VerdictPb {
            height: value.height.0.0,
            round: round_or_nil_to_u32(value.round),
            valid_round: round_or_nil_to_u32(value.valid_round),
            proposer: value.proposer.0.0.to_vec(),
            block_id: value.value.0.0.to_vec(),
            valid: value.validity.is_valid(),
        }),
        Input::StartHeight(..)
        | Input::RoundCertificate(_)
        | Input::Propose(_)
        | Input::SyncValueResponse(_) => return None,
    };
    Some(RecordPb { entry: Some(entry) }.encode_to_vec())
}

/// Reads a record back. An error means that the log is not ours.
pub(super) fn decode(bytes: &[u8]) -> Result<Record, WireError> {
    let record: RecordPb = wire::decode(bytes, RECORD_BYTES_MAX)?;
    let input = match record.entry.ok_or(WireError::Invalid("entry"))? {
        EntryPb::Block(block) => {
            let block = Block::from_pb(&block)?;
            return Ok(Record::Block(Box::new(block)));
        }
        EntryPb::Vote(vote) => Input::Vote(messages::vote_from_pb(&vote)?),
        EntryPb::Proposal(proposal) => Input::Proposal(messages::proposal_from_pb(&proposal)?),
        EntryPb::Polka(c) => Input::PolkaCertificate(messages::polka_from_pb(&c)?),
        EntryPb::Timeout(timeout) => {
            let kind = match timeout.step {
                1 => TimeoutKind::Propose,
                2 => TimeoutKind::Prevote,
                3 => TimeoutKind::Precommit,
                _ => return Err(WireError::Invalid("step")),
            };
            Input::TimeoutElapsed(Timeout::new(round_or_nil(timeout.round)?, kind))
        }
        EntryPb::Verdict(value) => {
            let id = |bytes: &[u8]| bytes.try_into().map_err(|_| WireError::Invalid("id"));
            let proposed = ProposedValue {
                height: Height(Slot(value.height)),
                round: round_or_nil(value.round)?,
                valid_round: round_or_nil(value.valid_round)?,
                proposer: Voter(Account(id(&value.proposer)?)),
                value: Value(BlockId(id(&value.block_id)?)),
                validity: Validity::from_bool(value.valid),
            };
            Input::ProposedValue(proposed, ValueOrigin::Consensus)
        }
    };
    Ok(Record::Input(Box::new(input)))
}
